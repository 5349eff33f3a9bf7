# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told: counters that the work feeds, numbers that are counted when somebody asks, and /metrics.

Built by cmd with a registry of its own. docs/metrics.md names every metric; etc/prometheus and etc/grafana use them.
"""
