# shellcheck shell=bash disable=SC2034,SC2154  # the variables are those of run.sh
# cmake: a script of lists, strings, regular expressions and JSON, and a small project configured and built.
needs="cmake make gcc"
only=all
binaries="cmake make"
run() {
  cmake -DCOUNT="$([ "$level" = quick ] && echo 300 || echo 3000)" -P "$data/lists.cmake" 2>&1
  mkdir project
  cat >project/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.18)
project(many C)
foreach(i RANGE 60)
  file(WRITE ${CMAKE_BINARY_DIR}/part${i}.c "int part${i}(void) { return ${i}; }\n")
  add_library(part${i} STATIC ${CMAKE_BINARY_DIR}/part${i}.c)
  set_target_properties(part${i} PROPERTIES EXCLUDE_FROM_ALL TRUE)
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/main.c "int part7(void);\nint main(void) { return part7() != 7; }\n")
add_executable(main ${CMAKE_BINARY_DIR}/main.c)
target_link_libraries(main part7)
END
  cmake -S project -B build -G "Unix Makefiles"
  cmake --build build
  build/main
  echo "built, status $?"
}
