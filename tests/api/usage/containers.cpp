// SPDX-License-Identifier: MIT
// containers.cpp - containers with the allocator as their last parameter
#include <mimalloc.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

typedef std::basic_string<char, std::char_traits<char>, mi_stl_allocator<char>> text_t;

int main() {
  std::vector<int, mi_stl_allocator<int>> numbers;
  for (int i = 0; i < 1000; i++) numbers.push_back(i);
  std::list<text_t, mi_stl_allocator<text_t>> texts(
      10, text_t("a text that is too long for the string itself"));
  std::map<int, text_t, std::less<int>, mi_stl_allocator<std::pair<const int, text_t>>> map;
  map[1] = texts.front();
  auto shared = std::allocate_shared<int>(mi_stl_allocator<int>(), 7);
  const bool ours = mi_malloc_size(numbers.data()) > 0 && mi_malloc_size(map[1].data()) > 0;
  return ours && numbers.back() == 999 && *shared == 7 ? 0 : 1;
}
