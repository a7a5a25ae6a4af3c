// SPDX-License-Identifier: MIT
// containers.cpp - C++ containers in memory of mimalloc, while the rest of the program stays as it is
//
// Two ways: an allocator as a parameter of the container's type, and std::pmr (C++17), where the type stays
// the same and the memory is chosen when the program runs.
//
//     c++ -std=c++17 containers.cpp -lmimalloc -o containers
#include <mimalloc-pmr.h>
#include <mimalloc.h>

#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

template <class T> using vector_of = std::vector<T, mi_stl_allocator<T>>;
using text_t = std::basic_string<char, std::char_traits<char>, mi_stl_allocator<char>>;
using counts_t =
    std::map<text_t, int, std::less<text_t>, mi_stl_allocator<std::pair<const text_t, int>>>;

static counts_t count_words(const char* const* words, int rounds) {
  counts_t counts;
  for (int i = 0; i < rounds; i++) {
    for (const char* const* word = words; *word != nullptr; word++) {
      counts[text_t(*word) + "-with-a-suffix-that-needs-memory"]++;
    }
  }
  return counts;
}

#if defined(MI_HAS_PMR_RESOURCE)
// The caller decides where the result lives.
static std::pmr::vector<std::pmr::string> numbers_as_text(int count,
                                                          std::pmr::memory_resource* memory) {
  std::pmr::vector<std::pmr::string> texts(memory);
  for (int i = 0; i < count; i++) {
    texts.emplace_back("number ");
    texts.back() += std::to_string(i);
    texts.back() += ", written out so long that it needs memory of its own";
  }
  return texts;
}
#endif

int main() {
  static const char* const words[] = {"to", "be", "or", "not", "to", "be", nullptr};
  const counts_t counts = count_words(words, 1000);
  bool good = counts.size() == 4;
  for (const auto& entry : counts) {
    std::cout << entry.second << ' ' << entry.first.c_str() << '\n';
    good = good && mi_malloc_size(entry.first.data()) > 0;
  }

  vector_of<double> squares;
  for (int i = 0; i < 100000; i++) squares.push_back(1.0 * i * i);
  good = good && mi_malloc_size(squares.data()) >= squares.size() * sizeof(double);

#if defined(MI_HAS_PMR_RESOURCE)
  const auto texts = numbers_as_text(1000, mi_pmr_resource::get());
  std::cout << texts.back().c_str() << '\n';
  good = good && mi_malloc_size(texts.back().data()) > 0;
#endif
  return good ? 0 : 1;
}
