// SPDX-License-Identifier: MIT
// new_delete.cpp - the one source file of a program that includes this header; new and delete are ours then
#include <mimalloc-new-delete.h>

#include <memory>
#include <string>
#include <vector>

struct base {
  virtual ~base() {}
};
struct derived : base {
  std::vector<std::string> texts;
};

int main() {
  std::vector<std::unique_ptr<base>> objects;
  for (int i = 0; i < 100; i++) objects.emplace_back(new derived);
  for (const auto& object : objects)
    static_cast<derived*>(object.get())->texts.assign(3, std::string(100, 'x'));
  int* const array = new int[1000];
  const bool ours = mi_malloc_size(objects[0].get()) > 0 && mi_malloc_size(array) > 0;
  delete[] array;
  return ours ? 0 : 1;
}
