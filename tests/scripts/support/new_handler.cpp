// Out of memory in operator new: the program's new_handler is called, std::bad_alloc thrown, and the
// nothrow forms return NULL. Nothing here but operator new: a static program has then as little of the
// C++ runtime as one can have.
//
// usage: new_handler CASE    new_handler.sh has the list, and says what is to be reported

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

const std::size_t MiB = 1024 * 1024;

// The compiler must not see that this is too much.
volatile std::size_t huge = PTRDIFF_MAX / 2;

struct alignas(256) Wide {
  char bytes[256];
};

int handler_calls = 0;
char* reserve = nullptr;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

void throw_number() {
  handler_calls++;
  throw 42;
}

void must_not_be_called() { std::abort(); }

int fail(const char* what) {
  std::fprintf(stderr, "new_handler: %s\n", what);
  return 1;
}

// The forms of operator new, all with the same size.
enum Form { PLAIN, ARRAY, ALIGNED, ALIGNED_ARRAY, FORMS };

void* take(Form form, std::size_t size) {
  switch (form) {
    case PLAIN: return ::operator new(size);
    case ARRAY: return ::operator new[](size);
    case ALIGNED: return ::operator new(size, std::align_val_t{256});
    default: return ::operator new[](size, std::align_val_t{256});
  }
}

void* take_nothrow(Form form, std::size_t size) {
  switch (form) {
    case PLAIN: return ::operator new(size, std::nothrow);
    case ARRAY: return ::operator new[](size, std::nothrow);
    case ALIGNED: return ::operator new(size, std::align_val_t{256}, std::nothrow);
    default: return ::operator new[](size, std::align_val_t{256}, std::nothrow);
  }
}

bool throws_bad_alloc(Form form) {
  try {
    ::operator delete(take(form, huge));
  } catch (const std::bad_alloc& error) { return std::strstr(error.what(), "bad_alloc") != nullptr; }
  return false;
}

// The cases ----------------------------------------------------------------------------------------

int throws() {
  for (int form = 0; form < FORMS; form++) {
    if (!throws_bad_alloc(Form(form))) return fail("no bad_alloc");
  }
  return 0;
}

// Expressions, as programs write them.
int throws_in_expressions() {
  int caught = 0;
  try {
    new char[huge];
  } catch (const std::bad_alloc&) { caught++; }
  try {
    new Wide[huge / sizeof(Wide)];
  } catch (const std::bad_alloc&) { caught++; }
  if (new (std::nothrow) char[huge] != nullptr) return fail("nothrow new gave something");
  return caught == 2 ? 0 : fail("not caught");
}

int nothrow_is_null() {
  for (int form = 0; form < FORMS; form++) {
    errno = 0;
    if (take_nothrow(Form(form), huge) != nullptr) return fail("nothrow new gave something");
    if (errno != ENOMEM) return fail("no ENOMEM");
  }
  return 0;
}

int handler_is_called() {
  for (int form = 0; form < FORMS; form++) {
    handler_calls = 0;
    std::set_new_handler(give_up_after_three);
    if (!throws_bad_alloc(Form(form)) || handler_calls != 3) return fail("the handler, then bad_alloc");
    handler_calls = 0;
    std::set_new_handler(give_up_after_three);
    if (take_nothrow(Form(form), huge) != nullptr || handler_calls != 3)
      return fail("the handler, then NULL");
  }
  return 0;
}

int handler_may_throw() {
  std::set_new_handler(throw_number);
  for (int form = 0; form < FORMS; form++) {
    try {
      ::operator delete(take(Form(form), huge));
      return fail("no exception");
    } catch (int number) {
      if (number != 42 || handler_calls != form + 1) return fail("another exception");
    }
  }
  return 0;
}

int handler_was_taken_away() {
  std::set_new_handler(must_not_be_called);
  if (std::set_new_handler(nullptr) != must_not_be_called) return fail("set_new_handler");
  return throws() + nothrow_is_null();
}

// Takes memory until there is no more, then lets the handler free some: the request goes through.
int handler_makes_room() {
  for (int form = 0; form < FORMS; form++) {
    reserve = new char[40 * MiB];
    handler_calls = 0;
    std::set_new_handler([] {
      handler_calls++;
      delete[] reserve;
      if (reserve == nullptr) std::set_new_handler(nullptr);
      reserve = nullptr;
    });
    void* list = nullptr;
    while (reserve != nullptr) {
      void* const p = take(Form(form), 8 * MiB);
      std::memcpy(p, &list, sizeof list);
      list = p;
    }
    if (handler_calls != 1) return fail("one call");
    while (list != nullptr) {
      void* const next = *static_cast<void**>(list);
      form < ALIGNED ? ::operator delete(list) : ::operator delete(list, std::align_val_t{256});
      list = next;
    }
  }
  return 0;
}

// One failure, to see the one line of it.
int fails_once() { return throws_bad_alloc(PLAIN) ? 0 : fail("no bad_alloc"); }

const struct {
  const char* name;
  int (*run)();
} cases[] = {
    {"throws", throws},
    {"throws_in_expressions", throws_in_expressions},
    {"nothrow_is_null", nothrow_is_null},
    {"handler_is_called", handler_is_called},
    {"handler_may_throw", handler_may_throw},
    {"handler_was_taken_away", handler_was_taken_away},
    {"handler_makes_room", handler_makes_room},
    {"fails_once", fails_once},
};

}  // namespace

int main(int argc, char** argv) {
  for (const auto& one : cases) {
    if (argc == 2 && std::strcmp(one.name, argv[1]) == 0) return one.run();
  }
  return 2;
}
