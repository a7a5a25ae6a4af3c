# SPDX-License-Identifier: MIT
# The build options of mimalloc by the names that its users know, in terms of those of CMakeLists.txt.
# Included after those. What a name of theirs switches on for us is added to mi_definitions and
# mi_flags; a name that means nothing here says so when it is set.

option(MI_SECURE_FULL      "The same as MI_SECURE: there is one hardened variant"    OFF)
option(MI_XMALLOC          "Abort when memory is out, unless the program handles it" OFF)
option(MI_SHOW_ERRORS      "Print errors without an option saying so"                OFF)
option(MI_DEBUG            "Assertions of the first level in any build type"         OFF)
option(MI_DEBUG_INTERNAL   "All assertions"                                          OFF)
option(MI_DEBUG_FULL       "All assertions and validators"                           OFF)
option(MI_CHECK_FULL       "Older name of MI_DEBUG_FULL"                             OFF)
option(MI_NO_DEBUG         "No assertions, in a Debug build neither"                 OFF)
option(MI_DEBUG_TSAN       "MI_SANITIZE=thread"                                      OFF)
option(MI_DEBUG_UBSAN      "MI_SANITIZE=undefined"                                   OFF)
option(MI_OPT_ARCH         "For newer processors: x86-64 from Haswell on, armv8.1-a" OFF)
option(MI_NO_OPT_ARCH      "Not so; wins over MI_OPT_ARCH"                           OFF)
option(MI_LOCAL_DYNAMIC_TLS "For a library that is loaded late, by dlopen"           OFF)
option(MI_LIBC_MUSL        "MI_LOCAL_DYNAMIC_TLS for the static library and object"  OFF)
option(MI_SEE_ASM          "Keep the assembly"                                       OFF)
option(MI_INSTALL_TOPLEVEL "Install into folders without a version: always so"       OFF)
set(MI_EXTRA_CPPDEFS "" CACHE STRING "More preprocessor definitions, separated by ;")

set(mi_definitions MI_CFG_XMALLOC=$<BOOL:${MI_XMALLOC}> MI_CFG_SHOW_ERRORS=$<BOOL:${MI_SHOW_ERRORS}>
  ${MI_EXTRA_CPPDEFS})
set(mi_flags)
set(mi_tls_shared initial-exec)
set(mi_tls_static initial-exec)

if(MI_SECURE_FULL)
  set(MI_SECURE ON)
endif()

if(MI_NO_DEBUG)
  set(MI_ASSERT_LEVEL 0)
elseif(MI_DEBUG_FULL OR MI_CHECK_FULL OR MI_DEBUG_INTERNAL)
  set(MI_ASSERT_LEVEL 2)
elseif(MI_DEBUG AND MI_ASSERT_LEVEL STREQUAL "")
  set(MI_ASSERT_LEVEL 1)
endif()

if(MI_DEBUG_TSAN)
  set(MI_SANITIZE thread)
elseif(MI_DEBUG_UBSAN)
  set(MI_SANITIZE undefined)
endif()

if(MI_OPT_ARCH AND NOT MI_NO_OPT_ARCH)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
    list(APPEND mi_flags -march=haswell -mavx2)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
    list(APPEND mi_flags -march=armv8.1-a)
  endif()
endif()

if(MI_LOCAL_DYNAMIC_TLS)
  set(mi_tls_shared local-dynamic)
  set(mi_tls_static local-dynamic)
elseif(MI_LIBC_MUSL)
  set(mi_tls_static local-dynamic)
endif()
if(MI_SEE_ASM)
  list(APPEND mi_flags -save-temps=obj)
endif()

# Names of theirs without a meaning here: other systems, and ways of theirs to do things.
foreach(name MI_USE_CXX MI_NO_USE_CXX MI_OPT_SIMD MI_GUARDED MI_FREE_IS_CHECKED MI_PADDING MI_NO_PADDING
    MI_SKIP_COLLECT_ON_EXIT MI_NO_THP MI_TRACK_ETW MI_OSX_INTERPOSE MI_OSX_ZONE MI_INTERPOSE MI_WIN_REDIRECT
    MI_WIN_DIRECT_TLS MI_WIN_USE_FIXED_TLS MI_WIN_USE_FLS MI_WIN_INIT_USE_RAW_DLLMAIN
    MI_WIN_INIT_USE_TLS_DLLMAIN MI_TLS_MODEL_LOCAL MI_TLS_MODEL_PTHREADS MI_TLS_RECURSE_GUARD MI_USE_LIBATOMIC)
  if(${name})
    message(STATUS "mimalloc: ${name} has no effect")
  endif()
endforeach()
