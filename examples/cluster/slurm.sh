#!/bin/bash
# A benchmark on four nodes of four cards each:  sbatch slurm.sh bench.yaml
# The checkout, its virtual environment, DATA and OUT lie on a file system that all nodes share.
#SBATCH --job-name=bench
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --exclusive
#SBATCH --time=24:00:00
set -euo pipefail

PLAN=${1:?the YAML file of the benchmark}
DATA=${DATA:-$PWD/data}
OUT=${OUT:-$PWD/runs/bench}
PORT=6379
source .venv/bin/activate
export RAY_USAGE_STATS_ENABLED=0

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
on_head=(srun --overlap --nodes=1 --ntasks=1 --nodelist="$head")
address=$("${on_head[@]}" hostname --ip-address | awk '{print $1}'):$PORT
offers=(--num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$SLURM_GPUS_ON_NODE" --disable-usage-stats --block)

"${on_head[@]}" ray start --head --node-ip-address="${address%:*}" --port=$PORT --include-dashboard=false "${offers[@]}" &
until "${on_head[@]}" ray health-check --address "$address" 2>/dev/null; do sleep 2; done
if ((${#nodes[@]} > 1)); then
    others=$(IFS=,; echo "${nodes[*]:1}")
    srun --overlap --nodes=$((${#nodes[@]} - 1)) --ntasks=$((${#nodes[@]} - 1)) --nodelist="$others" \
        ray start --address="$address" "${offers[@]}" &
fi

# an interrupted benchmark goes on where it was when the same job is submitted again
"${on_head[@]}" python -m harness bench --plan "$PLAN" --engine ray --address "$address" --data "$DATA" --out "$OUT"
