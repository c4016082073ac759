#pragma once

#include <stddef.h>
#include <stdint.h>

/// What is signed: eight bytes, as SigV4's day is. `bench/c-loop.ts` knows it too.
extern const uint8_t kMessage[8];

enum { kMacBytes = 32 };

/// One MAC of kMessage by the opened key. Ends the process on any error.
typedef void (*MacFunction)(void* key, uint8_t mac[kMacBytes]);

/// Calls `compute` for `seconds` and prints one line: MACs per second and the last MAC in hexadecimal.
void MeasureLoop(MacFunction compute, void* key, double seconds);

/// The first line of standard input without its end: a password must not show in argv.
size_t ReadPassword(char* password, size_t size);

/// Prints `call` and its return code, and ends the process, unless the code is 0.
void Check(const char* call, unsigned long code);
