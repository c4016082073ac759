#pragma once

namespace aws_hmac {

/// Has every worker stopped, within Worker::kStopBound, before the exit handlers of the libraries loaded so
/// far run: their clean-up under a thread that still signs crashes the process. `exit` runs handlers last in,
/// first out, so call this again after loading a library. A worker that does not stop in time (a hung device)
/// makes the process end at once, with its exit code.
void StopWorkersBeforeLibrariesExit();

}  // namespace aws_hmac
