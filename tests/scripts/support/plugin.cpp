// A C++ plugin of a C program, see plugin_host.c.

#include <cstddef>
#include <cstdint>
#include <new>

static int handler_calls = 0;

static void give_up() {
  handler_calls++;
  std::set_new_handler(nullptr);
}

// 0 if the handler is called, and bad_alloc thrown.
extern "C" int plugin_run(void) {
  volatile std::size_t huge = PTRDIFF_MAX / 2;
  std::set_new_handler(give_up);
  try {
    ::operator delete(::operator new(huge));
  } catch (const std::bad_alloc&) { return handler_calls == 1 ? 0 : 1; }
  return 2;
}
