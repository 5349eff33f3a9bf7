# SPDX-License-Identifier: Apache-2.0
"""What runs on the hosts of stores, one request each time: sent along over ssh as text (bundle), or installed there as
the forced command of an account (confined). The standard library of Python 3.9 alone."""
