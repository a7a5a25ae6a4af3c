// Are malloc and operator new really ours in this program? Linked by static_link.sh; see override.c.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>
#include <mimalloc.h>

namespace {

int failures = 0;

void expect(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "override_cxx: %s\n", what);
  failures++;
}

bool is_ours(void* p) {
  const size_t size = mi_usable_size(p);
  return p != nullptr && size > 0 && size == malloc_usable_size(p);
}

struct alignas(512) Wide {
  char bytes[512];
};

// Runs before main, perhaps before the library's own start.
struct Early {
  std::vector<std::string> words;
  Early() : words(100, std::string(50, 'x')) {}
  ~Early() {
    if (words.size() != 100) std::abort();
  }
} early;

void news() {
  int* one = new int(7);
  expect(is_ours(one), "new int");
  delete one;
  char* many = new char[1000];
  expect(is_ours(many), "new char[1000]");
  delete[] many;
  Wide* wide = new Wide;
  expect(reinterpret_cast<uintptr_t>(wide) % 512 == 0 && is_ours(wide),
         "new of an over-aligned type");
  delete wide;
  void* quiet = ::operator new(100, std::nothrow);
  expect(is_ours(quiet), "new (nothrow)");
  ::operator delete(quiet, std::nothrow);
  void* sized = ::operator new[](100, std::align_val_t{64});
  expect(is_ours(sized), "new[] (align_val_t)");
  ::operator delete[](sized, std::align_val_t{64});
  void* plain = std::malloc(10);
  expect(is_ours(plain), "malloc");
  std::free(plain);
}

void exceptions() {
  volatile size_t absurd = size_t{1} << (sizeof(size_t) == 8 ? 60 : 31);
  bool caught = false;
  try {
    ::operator delete(::operator new(absurd));
  } catch (const std::bad_alloc&) { caught = true; }
  expect(caught, "new of 2^60 bytes throws bad_alloc");
  expect(::operator new(absurd, std::nothrow) == nullptr, "new (nothrow) of 2^60 bytes is null");
  caught = false;
  std::thread thrower([&caught] {
    try {
      throw std::runtime_error(std::string(300, 'e'));
    } catch (const std::exception& error) { caught = std::string(error.what()).size() == 300; }
  });
  thrower.join();
  expect(caught, "an exception in a thread");
}

}  // namespace

int main() {
  expect(mi_version() > 0, "mi_version");
  news();
  exceptions();
  std::map<int, std::string> map;
  for (int i = 0; i < 1000; i++) map[i] = std::to_string(i) + std::string(30, '.');
  expect(map.size() == 1000 && is_ours(map[999].data()), "a string in a map");
  if (failures == 0) std::puts("malloc and new are ours");
  return failures == 0 ? 0 : 1;
}
