# SPDX-License-Identifier: Apache-2.0
"""The web page: static files, sessions of people, live progress. Stages of the API's pipeline that `cmd` builds.

It decides nothing about images: the page calls /v1 as every other client does, with the caller's own Keystone token.
"""
