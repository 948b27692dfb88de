"""PyTorch in a slice: experiment_8_torch.py LIMIT_MIB. Prints "what<TAB>found" lines; each part in a process of its own."""
import os
import subprocess
import sys

MIB = 1 << 20

PARTS = {
    "mem_get_info": "print('free, total (MiB)', [n // MIB for n in torch.cuda.mem_get_info()], sep='\\t')",
    "out of memory": """
try:
    torch.empty(LIMIT * MIB, dtype=torch.uint8, device='cuda'); print('a tensor as large as the slice', 'allocated', sep='\\t')
except torch.cuda.OutOfMemoryError as error:
    print('a tensor as large as the slice', 'OutOfMemoryError', sep='\\t')
x = torch.empty(LIMIT // 4 * MIB, dtype=torch.uint8, device='cuda'); print('then a quarter of it', 'allocated', sep='\\t')
""",
    "graphs": """
x = torch.zeros(1024, device='cuda'); graph = torch.cuda.CUDAGraph()
s = torch.cuda.Stream()
with torch.cuda.stream(s): x + 1
torch.cuda.synchronize()
with torch.cuda.graph(graph): y = x + 1
graph.replay(); torch.cuda.synchronize(); print('graph', 'right' if y.sum().item() == 1024 else 'wrong', sep='\\t')
""",
}
SETTINGS = {"": "", " (cudaMallocAsync)": "backend:cudaMallocAsync", " (expandable segments)": "expandable_segments:True"}


def main():
    limit = int(sys.argv[1])
    seen = subprocess.run([sys.executable, "-c", "import torch; assert torch.cuda.is_available()"], capture_output=True)
    if seen.returncode:
        return print("PyTorch", "not run: no PyTorch that sees a card", sep="\t")
    for suffix, setting in SETTINGS.items():
        for name, code in PARTS.items():
            env = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": setting}
            program = f"import torch\nMIB, LIMIT = {MIB}, {limit}\n{code}"
            done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
            for line in done.stdout.splitlines():
                what, _, found = line.partition("\t")
                print(what + suffix, found, sep="\t", flush=True)
            if done.returncode:
                print(name + suffix, "failed: " + (done.stderr.strip().splitlines() or ["?"])[-1], sep="\t", flush=True)


if __name__ == "__main__":
    main()
