// SPDX-License-Identifier: MIT
// containers_on_heap.cpp - containers that share a heap of their own, and go away with it at once
//
// A parser builds a tree of many small nodes. Their heap keeps them close together, apart from the rest of
// the program, and in the end it is destroyed as a whole: nobody walks the tree to free its nodes.
//
//     c++ -std=c++17 containers_on_heap.cpp -lmimalloc -o containers_on_heap
#include <mimalloc.h>

#include <functional>
#include <iostream>
#include <map>
#include <utility>
#include <vector>

using edges_t = std::vector<int, mi_heap_stl_allocator<int>>;
using graph_t =
    std::map<int, edges_t, std::less<int>, mi_heap_stl_allocator<std::pair<const int, edges_t>>>;

static void fill_graph(graph_t& graph, mi_heap_t* heap, int nodes) {
  for (int node = 0; node < nodes; node++) {
    edges_t edges{mi_heap_stl_allocator<int>(heap)};
    for (int i = 1; i <= 3; i++) edges.push_back(node * i % nodes);
    graph.emplace(node, std::move(edges));
  }
}

int main() {
  // The heap outlives its containers, and is the program's to end.
  mi_heap_t* const heap = mi_heap_new();
  bool good = heap != nullptr;
  {
    graph_t graph{std::less<int>(), mi_heap_stl_allocator<std::pair<const int, edges_t>>(heap)};
    fill_graph(graph, heap, 10000);
    good = good && mi_heap_contains(heap, &graph[77]) && mi_heap_contains(heap, graph[77].data());
    std::cout << graph.size() << " nodes in a heap of their own\n";
  }
  mi_heap_destroy(heap);

  // Without a heap as argument an allocator makes one, which its copies share. This one never frees single
  // blocks: it destroys its heap when the last container with it has gone.
  std::vector<int, mi_heap_destroy_stl_allocator<int>> numbers(1000, 1);
  const auto more = numbers;
  good = good && numbers.get_allocator() == more.get_allocator();
  good = good && mi_heap_of(numbers.data()) == mi_heap_of(more.data());
  return good ? 0 : 1;
}
