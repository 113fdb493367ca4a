"""The clock: profile, plan, tune, run under the limit, record, compare, report."""
