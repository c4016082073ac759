# AWS_HMAC_DEPS=static: what libraries.sh built goes into the addon, which then needs nothing but Node and glibc.
set(AWS_HMAC_PREFIX "" CACHE PATH "usr in the folder that libraries.sh installed into")
set(AWS_HMAC_NODE_HEADERS "" CACHE PATH "Node's include/node: it has the headers of the OpenSSL in there")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
add_compile_options(-ffunction-sections -fdata-sections -D_FORTIFY_SOURCE=2 -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
add_link_options(-Wl,--build-id=none)
set(LIBCRYPTO_INCLUDE_DIRS ${AWS_HMAC_NODE_HEADERS})

target_include_directories(libraries SYSTEM INTERFACE
  ${AWS_HMAC_PREFIX}/include ${AWS_HMAC_PREFIX}/include/p11-kit-1)
set(TSS2_ARCHIVES "")
foreach(name esys sys mu rc tctildr tcti-device tcti-swtpm tcti-mssim)
  list(APPEND TSS2_ARCHIVES ${AWS_HMAC_PREFIX}/lib/libtss2-${name}.a)
endforeach()
# Whole: nothing refers to p11-kit's ELF constructor. Required: our own reference to it is weak, and a weak one
# takes nothing out of an archive.
target_link_libraries(libraries INTERFACE
  -Wl,--whole-archive ${AWS_HMAC_PREFIX}/lib/libp11-kit.a -Wl,--no-whole-archive
  -Wl,--require-defined=Esys_SetCryptoCallbacks
  -Wl,--start-group ${TSS2_ARCHIVES} -Wl,--end-group)
target_compile_definitions(libraries INTERFACE AWS_HMAC_STATIC)
target_link_options(libraries INTERFACE -static-libstdc++ -static-libgcc)

# By object and not by archive, so that it comes before glibc's.
add_library(clock_wait OBJECT native/prebuild/clock_wait.cc)
target_compile_options(clock_wait PRIVATE -Wall -Wextra -Werror)
target_link_libraries(libraries INTERFACE $<TARGET_OBJECTS:clock_wait>)
