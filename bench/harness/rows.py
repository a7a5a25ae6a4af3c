"""The rows of the race: fixed before anything was tuned, and the same for everybody."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Rows with the same limits: how far behind the best peer ours may be."""

    time_limit: float
    rss_limit: float
    not_in_rss: tuple  # peers whose peak RSS does not count
    real: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the tables. A row of a group of real programs is a file of bench/programs."""

    name: str
    group: str
    command: tuple  # program and arguments; the rest are the programs' defaults
    asks: str
    quick: bool = False  # part of `make bench-quick`
    frees: bool = True  # everything is free, or at rest, at the end: RSS after quiet means something
    small: bool = False  # its memory is compared with glibc's in KiB
    seconds: int = 120  # after that it is stopped


GROUPS = {
    "core": Group(1.10, 1.20, ("scudo",)),
    "threads": Group(1.05, 1.10, ("scudo", "glibc")),
    "more": Group(1.05, 1.15, ("scudo",)),
    "real": Group(1.05, 1.15, ("scudo",), real=True),
}


def micro(name, group, command, asks, **properties):
    return Row(name, group, tuple(command.split()), asks, **properties)


def real(name, asks, **properties):
    properties = {"frees": False, **properties}
    return Row(name, "real", ("program", name), asks, **properties)


ROWS = [
    micro("cfrac", "core", "cfrac", "the shortest way through malloc and free: tens of millions of tiny blocks", quick=True, small=True),
    micro("tree", "core", "tree", "nodes that lie together; whole trees and octrees (n-body) freed and rebuilt", quick=True),
    micro("replace-small", "core", "replace small", "finding freed blocks again in a dense heap, small sizes", quick=True),
    micro("replace-middle", "core", "replace middle", "the same with sizes in the middle"),
    micro("replace-skewed", "core", "replace skewed", "the same with mixed sizes, the larger the rarer"),
    micro("threads", "core", "threads", "frees by other threads; threads end while their blocks live on", quick=True),
    micro("larson", "threads", "larson", "blocks that outlive their threads, memory that does not die with them", quick=True),
    micro("xmalloc-pair", "threads", "xmalloc 2", "one thread allocates, another one frees: memory finds its way back in bulk"),
    micro("xmalloc-many", "threads", "xmalloc", "the same with several of both"),
    micro("mstress", "threads", "mstress", "quick starts and ends of threads, mixed sizes", quick=True),
    micro("rptest", "threads", "rptest", "many size classes at once, some remote frees"),
    micro("sh8", "threads", "sh8", "nothing is freed by the thread that allocated it"),
    micro("cache-scratch-1", "threads", "cache scratch 1", "no passive false sharing; one thread, for comparison"),
    micro("cache-scratch-n", "threads", "cache scratch", "do not hand out the rest of another thread's cache line"),
    micro("cache-thrash-1", "threads", "cache thrash 1", "no active false sharing; one thread, for comparison"),
    micro("cache-thrash-n", "threads", "cache thrash", "no active false sharing"),
    micro("hello", "more", "hello", "what the allocator itself costs: its start and its memory", quick=True, small=True),
    micro("logic", "more", "logic", "logic minimisation: deep recursion over arrays of small blocks, soon freed"),
    micro("larson-sized", "more", "larson_sized", "larson by operator new and the delete that is told the size"),
    micro("alloc-test-1", "more", "alloctest 1", "random blocks that are all written and read: few cache lines of our own"),
    micro("alloc-test-n", "more", "alloctest", "the same with several threads"),
    micro("sh6", "more", "sh6", "batches in runs of one size, half of each outlives the next; no remote frees", quick=True),
    micro("glibc-simple", "more", "glibc simple", "one size at a time, no threads: the plainest code"),
    micro("glibc-thread", "more", "glibc thread", "small working sets of several threads that have nothing in common"),
    micro("large", "more", "large", "blocks of 5 to 25 MiB, used again while they are warm", quick=True),
    micro("leak", "more", "leak", "threads that forget blocks, and a process that ends with all in place", frees=False),
    micro("crowd", "more", "crowd", "400 threads alive that own little: what a thread costs"),
    micro("compiler", "more", "compiler", "20 000 full pages that stay full are never looked at again"),
    real("redis", "a server of small values, with writes and deletes of many sizes", frees=True),
    real("memcached", "a server with slabs of its own and four threads", frees=True),
    real("sqlite", "joins, sorts, JSON and VACUUM in memory", quick=True),
    real("rocksdb", "writes, compactions in threads, reads: db_bench"),
    real("python", "data processing; the arenas of python take the small blocks", quick=True),
    real("python-malloc", "the same, each object by malloc"),
    real("gcc", "the C compiler on this project"),
    real("g++", "the C++ compiler on templates of the library"),
    real("clang", "the other C compiler on this project"),
    real("z3", "a solver: many small blocks, vectors that grow"),
    real("ghostscript", "pages to pixels and to PDF"),
    real("lua", "tables and strings, all by realloc", quick=True, small=True),
    real("perl", "hashes, strings, closures", quick=True),
    real("ruby", "strings and hashes beside a collector"),
    real("node", "V8 has its own heap: buffers, compression, workers"),
    real("postgres", "a server of processes, under pgbench", frees=True),
    real("nginx", "a server with two workers, under wrk", frees=True),
]
