"""The judge: challenges, real data, ConvNetD3-W128, audits. Imports nothing of `submission` or `harness`."""
