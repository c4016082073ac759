#pragma once

#include <tss2/tss2_tcti.h>

/// Connects to swtpm's socket by "host=127.0.0.1,port=…" and keeps the connection: libtss2's own TCTI makes
/// one for each command. Ends the process on any error.
TSS2_TCTI_CONTEXT* OpenKeptTcti(const char* configuration);
void CloseKeptTcti(TSS2_TCTI_CONTEXT* tcti);
