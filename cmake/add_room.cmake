# add_room(<name> SOURCES a.cc … [HEADERS b.h …] [TESTS a_test.cc …] [DEPS room …] [LIBS target …] [PUBLIC_LIBS target …]
#          [TEST_LIBS target …])
#
# Makes:  room_<name>          a static library of SOURCES
#         <name>_test          one gtest program of TESTS, registered with ctest as <name>.<Suite>.<Case>
#         <name>_headers       compiles each header of the folder alone
#         <name>_linkcheck     links the whole archive with DEPS and LIBS only: an undeclared arrow fails the build
# DEPS is the only place where an arrow between rooms is drawn; LIBS are libraries of others, used in sources only;
# PUBLIC_LIBS are those whose headers appear in this room's headers.
function(add_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;HEADERS;TESTS;DEPS;LIBS;PUBLIC_LIBS;TEST_LIBS" ${ARGN})
  set(target room_${name})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/README.md)
    message(FATAL_ERROR "room ${name} has no README.md: three lines that say what it is, owns and refuses")
  endif()

  add_library(${target} STATIC ${ROOM_SOURCES})
  set(dep_targets "")
  foreach(dep ${ROOM_DEPS})
    list(APPEND dep_targets room_${dep})
  endforeach()
  target_link_libraries(${target} PUBLIC ${dep_targets} ${ROOM_PUBLIC_LIBS} PRIVATE zorya_options ${ROOM_LIBS})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)

  # Every header must compile alone.
  file(GLOB headers RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h)
  set(header_units "")
  foreach(header ${headers})
    set(unit ${CMAKE_CURRENT_BINARY_DIR}/headers/${header}.cc)
    file(GENERATE OUTPUT ${unit} CONTENT "#include \"${CMAKE_CURRENT_SOURCE_DIR}/${header}\"\n")
    list(APPEND header_units ${unit})
  endforeach()
  if(header_units AND ZORYA_TESTS)
    add_library(${name}_headers OBJECT ${header_units})
    target_link_libraries(${name}_headers PRIVATE zorya_options ${target} ${ROOM_LIBS})
  endif()

  if(ZORYA_TESTS AND ROOM_SOURCES)
    set(main ${CMAKE_CURRENT_BINARY_DIR}/linkcheck.cc)
    file(GENERATE OUTPUT ${main} CONTENT "int main() { return 0; }\n")
    add_executable(${name}_linkcheck ${main})
    set_target_properties(${name}_linkcheck PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    target_link_libraries(${name}_linkcheck PRIVATE zorya_options
      -Wl,--whole-archive $<TARGET_FILE:${target}> -Wl,--no-whole-archive
      ${dep_targets} ${ROOM_PUBLIC_LIBS} ${ROOM_LIBS})
    add_dependencies(${name}_linkcheck ${target})
  endif()

  if(ZORYA_TESTS AND ROOM_TESTS)
    add_executable(${name}_test ${ROOM_TESTS})
    target_link_libraries(${name}_test PRIVATE zorya_options ${target} ${ROOM_LIBS} ${ROOM_TEST_LIBS}
      GTest::gtest GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE ZORYA_TESTDATA="${CMAKE_CURRENT_SOURCE_DIR}/testdata")
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      PROPERTIES TIMEOUT 120 LABELS unit)
  endif()
endfunction()
