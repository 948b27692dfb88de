# Compiler rules: C++23, warnings as errors, and compilers that are known to miscompile coroutines refused.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "g++ ${CMAKE_CXX_COMPILER_VERSION} miscompiles C++20 coroutines (`if (co_await f())` can jump "
    "wrongly or crash, at -O0 and -O2). Use clang++-19 (cmake --preset release) or g++ 13 or newer.")
endif()

option(OKIBI_FUZZ "Build the libFuzzer targets in fuzz/" OFF)
set(OKIBI_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_compile_options(-Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wnon-virtual-dtor
                    -fno-omit-frame-pointer -fstack-protector-strong)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Debian's plain `ld` is slow on the heavily templated network objects.
  add_link_options(-fuse-ld=lld)
endif()
if(OKIBI_SANITIZE)
  add_compile_options(-fsanitize=${OKIBI_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${OKIBI_SANITIZE})
endif()
if(OKIBI_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
