"""Who takes part: ours, the others from Debian's packages, and what stands for the limit."""
import os
import pathlib
import subprocess

from . import OUT, fail

OURS = "ours"
BUMP = "bump"  # an allocator that never frees: raced with the others, but nobody's peer
DEBIAN = pathlib.Path("/usr/lib/x86_64-linux-gnu")
CLANG = pathlib.Path("/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux")

# Name -> library, None for no preload. The libraries are those of Debian's packages.
PEERS = {
    "glibc": None,
    "jemalloc": DEBIAN / "libjemalloc.so.2",
    "tcmalloc": DEBIAN / "libtcmalloc_minimal.so.4",
    "mimalloc2": DEBIAN / "libmimalloc.so.2",
    "tbbmalloc": DEBIAN / "libtbbmalloc_proxy.so.2",
    "scudo": CLANG / "libclang_rt.scudo_standalone-x86_64.so",
}


settings = {}  # name -> environment variables, of those in PEERS that have some


def asked_for(base):
    """All that could take part: name -> library. Those of PEERS are name=path[,VARIABLE=value...]."""
    peers = dict(PEERS)
    if base:
        peers["base"] = base
    for entry in os.environ.get("PEERS", "").split():
        name, _, rest = entry.partition("=")
        path, *variables = rest.split(",")
        if not name or not path or not all("=" in variable for variable in variables):
            fail(f"PEERS: `{entry}` is not name=path[,VARIABLE=value...]")
        peers[name] = pathlib.Path(path)
        settings[name] = dict(variable.split("=", 1) for variable in variables)
    return peers


def find_allocators(ours, wanted, base=None):
    """Name -> library of all that are here; a line for each that is not."""
    peers = asked_for(base)
    if unknown := wanted - set(peers) - {OURS}:
        fail(f"--peers: unknown {', '.join(sorted(unknown))}; there are {', '.join(peers)}")
    found = {}
    for name, path in {OURS: ours, **peers}.items():
        if wanted and name != OURS and name not in wanted:
            continue
        if path is not None and not path.exists():
            hint = "`make` builds it" if name == OURS else "see `tools/setup.sh bench`"
            print(f"skipped: {name}, no {path} ({hint})")
            continue
        found[name] = None if path is None else path.resolve()
    if not found:
        fail("no allocator to race")
    return found


def bump_library():
    return OUT / "libbump.so"


def environment_of(name, environment):
    return {**environment, **settings.get(name, {})}


def live_library():
    return OUT / "liblive.so"


def version_of(path):
    """Package and version that a library is from, as Debian's data base says."""
    if path is None:
        path = pathlib.Path("/lib/x86_64-linux-gnu/libc.so.6")
    names = [str(path), str(path).removeprefix("/usr")]
    for name in names:
        owner = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
        if owner.returncode == 0:
            package = owner.stdout.split(": ")[0].split(",")[0]
            shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", package],
                                   capture_output=True, text=True)
            return shown.stdout or package
    return str(path)


def clean_environment():
    """Ours without a preload; settings of allocators stay, but we say so: they change the race."""
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "BENCH_QUIET")}
    prefixes = ("MIMALLOC_", "MALLOC_", "_RJEM_", "TCMALLOC_", "GLIBC_TUNABLES", "TBB_MALLOC_",
                "SCUDO_")
    if seen := [k for k in environment if k.startswith(prefixes)]:
        print(f"note: the allocators see, from the environment: {', '.join(sorted(seen))}")
    return environment
