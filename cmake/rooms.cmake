# okibi_room(name LINK libs...): the static library `okibi_<name>` from *.cc of the current folder, and
# the test program `<name>_test` from its *_test.cc. Sources are found by pattern so that adding a file
# is one act; tests registered with ctest under the test program's name.
function(okibi_room name)
  cmake_parse_arguments(ROOM "" "" "LINK;TEST_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
  if(sources)
    add_library(okibi_${name} STATIC ${sources})
    target_include_directories(okibi_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(okibi_${name} PUBLIC ${ROOM_LINK})
  else()
    add_library(okibi_${name} INTERFACE)
    target_include_directories(okibi_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(okibi_${name} INTERFACE ${ROOM_LINK})
  endif()
  if(tests)
    okibi_test(${name}_test SOURCES ${tests} LINK okibi_${name} ${ROOM_TEST_LINK})
  endif()
endfunction()

# okibi_test(name SOURCES ... LINK ...): one GoogleTest program, one ctest entry.
function(okibi_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINK} GTest::gtest_main)
  # A test's own code is not what is fast or slow; unoptimized it compiles in half the time.
  target_compile_options(${name} PRIVATE -O0)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77)
endfunction()
