# cmake -D program=<gtest program> -D output=<file> -P ListTestSuites.cmake
#
# Writes a file that registers one ctest entry for each test suite of the program.
# Run by the build after linking (see tests/CMakeLists.txt).
execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env ASAN_OPTIONS=detect_leaks=0:detect_container_overflow=0:detect_odr_violation=0 "${program}" --gtest_list_tests
  OUTPUT_VARIABLE listing RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${program} --gtest_list_tests failed: ${failed}")
endif()

# Suites stand at the start of a line and end with a dot; their tests are indented. The instances of
# a typed suite (Suite/0, Suite/1) go into one entry.
string(REGEX MATCHALL "\n  [^\n]+" tests "\n${listing}")
string(REGEX MATCHALL "\n[^ \n#]+\\." suites "\n${listing}")
list(TRANSFORM suites REPLACE "^\n(.+)\\.$" "\\1")
list(TRANSFORM suites REPLACE "/[0-9]+$" "/*")
list(REMOVE_DUPLICATES suites)
if(NOT tests)
  message(FATAL_ERROR "${program} contains no tests.")
endif()

set(script "")
foreach(suite IN LISTS suites)
  string(REGEX REPLACE "/\\*$" "" name "${suite}")
  # One thread each: `ctest -j` runs as many suites at once as there are cores. A filter that
  # matches nothing makes GoogleTest run zero tests and succeed; here that is a failure.
  string(APPEND script
    "add_test([==[${name}]==] [==[${program}]==] [==[--gtest_filter=${suite}.*]==])\n"
    "set_tests_properties([==[${name}]==] PROPERTIES\n"
    "  ENVIRONMENT OMP_NUM_THREADS=1\n"
    "  FAIL_REGULAR_EXPRESSION \"Running 0 tests from 0 test suites\")\n")
endforeach()
file(WRITE "${output}" "${script}")

list(LENGTH tests test_count)
list(LENGTH suites suite_count)
cmake_path(GET program FILENAME name)
message("${name}: ${test_count} tests in ${suite_count} suites")
