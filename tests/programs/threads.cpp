// A C++ program with threads and exceptions: the standard library's habits, as a user writes them.
//
// Every line it prints is a function of the code alone, so the output must be the same on any
// allocator. It allocates in one thread and frees in another, throws across threads, asks for
// absurd sizes, over-aligned objects, and lets blocks outlive the threads that made them.
//
// Built and run by cases/cxx_threads.sh and by tests/scripts/limits.sh.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <vector>

namespace {

// A small deterministic generator: the numbers must not depend on the library's version.
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  size_t below(size_t bound) { return static_cast<size_t>(next() % bound); }

private:
  uint64_t state_;
};

uint64_t mix(uint64_t sum, uint64_t value) { return (sum ^ value) * 0x100000001B3u; }

uint64_t hash_of(const std::string& text) {
  uint64_t sum = 0xCBF29CE484222325u;
  for (unsigned char c : text) sum = mix(sum, c);
  return sum;
}

void say(const char* name, uint64_t value) {
  std::printf("%-28s %016llx\n", name, static_cast<unsigned long long>(value));
}

// ---- containers ----

std::string word(Random& random) {
  std::string text(1 + random.below(60), 'a');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

uint64_t containers(uint64_t seed, int rounds) {
  Random random(seed);
  std::map<std::string, std::vector<int>> index;
  std::unordered_map<uint64_t, std::string> table;
  std::deque<std::unique_ptr<std::string>> queue;
  std::list<std::set<int>> sets;
  uint64_t sum = 0;
  for (int i = 0; i < rounds; i++) {
    index[word(random).substr(0, 2)].push_back(i);
    table[random.below(2000)] = word(random);
    queue.push_back(std::make_unique<std::string>(word(random)));
    if (queue.size() > 300) {
      sum = mix(sum, hash_of(*queue.front()));
      queue.pop_front();
    }
    if (i % 50 == 0) {
      sets.emplace_back();
      for (int k = 0; k < 40; k++) sets.back().insert(static_cast<int>(random.below(1000)));
      if (sets.size() > 20) sets.erase(std::next(sets.begin(), 7));
    }
  }
  for (const auto& [key, values] : index) sum = mix(mix(sum, hash_of(key)), values.size());
  std::vector<std::pair<uint64_t, std::string>> sorted(table.begin(), table.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, text] : sorted) sum = mix(mix(sum, key), hash_of(text));
  for (const auto& set : sets)
    for (int value : set) sum = mix(sum, static_cast<uint64_t>(value));
  return sum;
}

uint64_t containers_in_tasks() {
  std::vector<std::future<uint64_t>> tasks;
  for (uint64_t i = 0; i < 6; i++)
    tasks.push_back(std::async(std::launch::async, containers, i, 8000));
  uint64_t sum = 0;
  for (auto& task : tasks) sum = mix(sum, task.get());
  return sum;
}

// ---- one thread makes, another frees ----

class Channel {
public:
  void put(std::unique_ptr<std::string> item) {
    {
      std::lock_guard<std::mutex> hold(lock_);
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
  }
  std::unique_ptr<std::string> take() {
    std::unique_lock<std::mutex> hold(lock_);
    ready_.wait(hold, [this] { return !items_.empty(); });
    auto item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

private:
  std::mutex lock_;
  std::condition_variable ready_;
  std::deque<std::unique_ptr<std::string>> items_;
};

uint64_t makers_and_freers() {
  constexpr int kPairs = 3, kItems = 8000;
  std::atomic<uint64_t> sum{0};
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<Channel>> channels;
  for (int i = 0; i < kPairs; i++) channels.push_back(std::make_unique<Channel>());
  for (int i = 0; i < kPairs; i++) {
    Channel& channel = *channels[static_cast<size_t>(i)];
    threads.emplace_back([&channel, i] {
      Random random(static_cast<uint64_t>(i) + 77);
      for (int k = 0; k < kItems; k++) {
        size_t length = k % 100 == 0 ? 40000 : 20 + random.below(900);
        channel.put(std::make_unique<std::string>(length, static_cast<char>('a' + k % 26)));
      }
      channel.put(nullptr);
    });
    threads.emplace_back([&channel, &sum] {
      uint64_t mine = 0;
      while (auto item = channel.take()) {
        if (item->front() != item->back()) std::abort();
        mine += item->size();
      }
      sum += mine;
    });
  }
  for (auto& thread : threads) thread.join();
  return sum;
}

// ---- blocks that outlive the threads which made them; thread_local destructors ----

std::atomic<uint64_t> buried{0};

struct Diary {
  std::vector<std::string> lines;
  ~Diary() { buried += lines.size(); }
};
thread_local Diary diary;

uint64_t short_lives() {
  uint64_t sum = 0;
  std::vector<std::shared_ptr<std::vector<std::string>>> estate;
  for (int round = 0; round < 25; round++) {
    std::vector<std::thread> threads;
    std::mutex lock;
    std::map<int, std::shared_ptr<std::vector<std::string>>> left;
    for (int i = 0; i < 6; i++) {
      threads.emplace_back([&, i] {
        Random random(static_cast<uint64_t>(round * 100 + i));
        auto words = std::make_shared<std::vector<std::string>>();
        for (int k = 0; k < 100; k++) {
          words->push_back(word(random));
          diary.lines.push_back(words->back() + words->back());
        }
        std::lock_guard<std::mutex> hold(lock);
        left[i] = words;
      });
    }
    for (auto& thread : threads) thread.join();
    for (auto& [key, words] : left) estate.push_back(words);
    if (estate.size() > 60) estate.erase(estate.begin(), estate.begin() + 30);
  }
  for (const auto& words : estate)
    for (const auto& text : *words) sum = mix(sum, hash_of(text));
  return mix(sum, buried);
}

// ---- exceptions ----

struct Trouble : std::runtime_error {
  Trouble(const std::string& what, std::vector<int> trail)
      : std::runtime_error(what), trail(std::move(trail)) {}
  std::vector<int> trail;
};

[[noreturn]] void dive(int depth, std::vector<int> trail) {
  std::string ballast(static_cast<size_t>(depth) * 7 + 1, 'x');  // destroyed while unwinding
  trail.push_back(static_cast<int>(ballast.size()));
  if (depth == 0)
    throw Trouble("bottom reached by a message too long for the small string", std::move(trail));
  try {
    dive(depth - 1, trail);
  } catch (Trouble& trouble) {
    if (depth % 5 != 0) throw;
    std::throw_with_nested(Trouble("level " + std::to_string(depth), trouble.trail));
  }
}

size_t unwind(const std::exception& error, std::string& path) {
  path += error.what();
  path += '/';
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& inner) { return 1 + unwind(inner, path); }
  return 1;
}

uint64_t exceptions_across_threads() {
  std::vector<std::future<uint64_t>> futures;
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; i++) {
    std::promise<uint64_t> promise;
    futures.push_back(promise.get_future());
    threads.emplace_back(
        [i](std::promise<uint64_t> out) {
          for (int k = 0; k < 150; k++) {
            try {
              dive(k % 20, {});
            } catch (const Trouble& trouble) {
              if (trouble.trail.empty()) std::abort();
            }
          }
          try {
            dive(10 + i, {});
          } catch (...) { out.set_exception(std::current_exception()); }
        },
        std::move(promise));
  }
  uint64_t sum = 0;
  for (auto& future : futures) {
    try {
      future.get();
      std::abort();
    } catch (const Trouble& trouble) {
      std::string path;
      sum = mix(mix(sum, unwind(trouble, path)), hash_of(path));
    }
  }
  for (auto& thread : threads) thread.join();
  return sum;
}

// ---- no memory ----

int handler_calls = 0;

void give_up_at_the_third_call() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

template <typename Error, typename Action> bool throws(Action action) {
  try {
    action();
  } catch (const Error&) { return true; }
  return false;
}

// With 32 bits a size that no allocator has is more than PTRDIFF_MAX. Containers do not even ask for it, and
// allocators may call the handler less often.
constexpr bool has_64_bits = sizeof(size_t) == 8;
using AbsurdForContainers = std::conditional_t<has_64_bits, std::bad_alloc, std::length_error>;

uint64_t absurd_sizes() {
  volatile size_t absurd = size_t{1} << (has_64_bits ? 60 : 31);  // more than any address space
  volatile size_t beyond = SIZE_MAX - 100;   // more than PTRDIFF_MAX
  unsigned seen = 0;
  seen = seen * 2 + throws<std::bad_alloc>([&] { ::operator delete(::operator new(absurd)); });
  seen = seen * 2 + throws<std::bad_alloc>([&] { ::operator delete[](::operator new[](beyond)); });
  seen =
      seen * 2 + throws<std::bad_alloc>([&] {
        ::operator delete (::operator new (absurd, std::align_val_t{256}), std::align_val_t{256});
      });
  seen = seen * 2 + throws<std::bad_array_new_length>([&] { delete[] new uint64_t[beyond]; });
  seen = seen * 2 + throws<std::length_error>([&] { std::vector<int>().reserve(beyond); });
  seen = seen * 2 + throws<AbsurdForContainers>([&] { std::vector<char>().reserve(absurd); });
  seen = seen * 2 + (::operator new(absurd, std::nothrow) == nullptr);
  seen = seen * 2 + (::operator new[](absurd, std::align_val_t{64}, std::nothrow) == nullptr);
  std::set_new_handler(give_up_at_the_third_call);
  seen = seen * 2 + throws<std::bad_alloc>([&] { ::operator delete(::operator new(absurd)); });
  const uint64_t calls = has_64_bits ? handler_calls : handler_calls > 0;
  return (calls << 32) | seen;
}

uint64_t absurd_size_in_a_task() {
  volatile size_t absurd = size_t{1} << (has_64_bits ? 60 : 31);
  auto task = std::async(std::launch::async, [&] { return std::string(absurd, 'x').size(); });
  return throws<AbsurdForContainers>([&] { task.get(); });
}

// ---- alignment ----

template <size_t Alignment> struct alignas(Alignment) Aligned {
  unsigned char bytes[Alignment * 2];
  Aligned() {
    std::fill(std::begin(bytes), std::end(bytes), static_cast<unsigned char>(Alignment));
  }
};

template <size_t Alignment> bool aligned_news() {
  std::vector<std::unique_ptr<Aligned<Alignment>>> singles;
  bool good = true;
  for (int i = 0; i < 40; i++) {
    singles.push_back(std::make_unique<Aligned<Alignment>>());
    std::unique_ptr<Aligned<Alignment>[]> many(new Aligned<Alignment>[3]);
    good = good && reinterpret_cast<uintptr_t>(singles.back().get()) % Alignment == 0;
    good = good && reinterpret_cast<uintptr_t>(many.get()) % Alignment == 0;
    if (i % 3 == 0) singles.erase(singles.begin());
  }
  std::vector<Aligned<Alignment>> grown(5);
  for (int i = 0; i < 50; i++) grown.emplace_back();
  good = good && reinterpret_cast<uintptr_t>(grown.data()) % Alignment == 0;
  for (const auto& item : grown)
    good = good && item.bytes[Alignment] == static_cast<unsigned char>(Alignment);
  return good;
}

uint64_t alignment() {
  unsigned good = 0;
  good = good * 2 + aligned_news<32>();
  good = good * 2 + aligned_news<64>();
  good = good * 2 + aligned_news<128>();
  good = good * 2 + aligned_news<512>();
  good = good * 2 + aligned_news<4096>();
  good = good * 2 + aligned_news<16384>();
  for (size_t size : {size_t{1}, size_t{100}, size_t{5000}, size_t{100000}, size_t{3000000}}) {
    for (size_t align = 16; align <= 65536; align *= 4) {
      void* p = ::operator new (size, std::align_val_t{align});
      good = good * 2 + (reinterpret_cast<uintptr_t>(p) % align == 0);
      ::operator delete (p, size, std::align_val_t{align});
    }
  }
  return good;
}

// ---- the library's own allocating corners ----

struct Counted {  // a class with operators of its own, on top of the global ones
  static inline int alive = 0;
  int payload[10] = {};
  static void* operator new(size_t size) { return alive++, ::operator new(size); }
  static void operator delete(void* p, size_t size) { alive--, ::operator delete(p, size); }
};

uint64_t library_corners() {
  uint64_t sum = 0;
  std::ostringstream out;
  for (int i = 0; i < 2000; i++) out << i << ',' << i * 0.5 << ';';
  sum = mix(sum, hash_of(out.str()));

  std::regex pattern("([0-9]+),([0-9.]+);");
  std::string text = out.str().substr(0, 2000);
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it)
    sum = mix(sum, hash_of((*it)[2].str()));

  std::pmr::synchronized_pool_resource pool;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++)
    threads.emplace_back([&pool, i] {
      std::pmr::vector<std::pmr::string> words(&pool);
      Random random(static_cast<uint64_t>(i));
      for (int k = 0; k < 500; k++) words.emplace_back(word(random).c_str());
    });
  for (auto& thread : threads) thread.join();

  std::vector<std::function<uint64_t(uint64_t)>> chain;
  for (uint64_t i = 0; i < 100; i++) {
    std::vector<uint64_t> captured(i + 1, i);
    chain.emplace_back(
        [captured](uint64_t x) { return mix(x, captured.size() + captured.back()); });
  }
  for (const auto& step : chain) sum = step(sum);

  std::vector<std::unique_ptr<Counted>> counted;
  for (int i = 0; i < 10; i++) counted.push_back(std::make_unique<Counted>());
  counted.resize(4);
  sum = mix(sum, static_cast<uint64_t>(Counted::alive));

  std::string grown;
  for (int i = 0; i < 400000; i++) grown.push_back(static_cast<char>('a' + i % 26));
  return mix(sum, hash_of(grown));
}

}  // namespace

int main() {
  say("containers", containers(99, 20000));
  say("containers_in_tasks", containers_in_tasks());
  say("makers_and_freers", makers_and_freers());
  say("short_lives", short_lives());
  say("exceptions_across_threads", exceptions_across_threads());
  say("absurd_sizes", absurd_sizes());
  say("absurd_size_in_a_task", absurd_size_in_a_task());
  say("alignment", alignment());
  say("library_corners", library_corners());
  return 0;
}
