"""The main job: generate under the clock, collect, judge, record."""
