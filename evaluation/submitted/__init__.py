"""Reading a submission: what its folder holds, which label each image has, what was left out."""
