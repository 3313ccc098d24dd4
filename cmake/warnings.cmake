# What every target of ours is compiled with. Third-party headers are SYSTEM and stay out of it.
add_library(zorya_options INTERFACE)
target_compile_options(zorya_options INTERFACE
  -Wall -Wextra -Wshadow
  $<$<COMPILE_LANGUAGE:CXX>:-Wconversion -Wnon-virtual-dtor -Woverloaded-virtual>
  -fno-omit-frame-pointer -fstack-protector-strong)
if(ZORYA_WERROR)
  target_compile_options(zorya_options INTERFACE -Werror)
endif()
if(ZORYA_SANITIZE)
  target_compile_options(zorya_options INTERFACE -fsanitize=${ZORYA_SANITIZE})
  target_link_options(zorya_options INTERFACE -fsanitize=${ZORYA_SANITIZE})
endif()
target_include_directories(zorya_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(zorya_options INTERFACE Threads::Threads)
