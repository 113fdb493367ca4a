"""What the audits share: the form of a finding, and the probe that they ask."""
