#include "tpm/mac.h"

#include <algorithm>
#include <utility>

#include "tpm/capability.h"
#include "tpm/command.h"

namespace aws_hmac::tpm {
namespace {

TPM2B_MAX_BUFFER Buffer(std::span<const uint8_t> chunk) {
  TPM2B_MAX_BUFFER buffer{};
  buffer.size = static_cast<UINT16>(chunk.size());
  std::ranges::copy(chunk, buffer.buffer);
  return buffer;
}

Mac Take(TPM2B_DIGEST* answered, const char* command) {
  const EsysPtr<TPM2B_DIGEST> digest(answered);
  Mac mac;
  if (digest->size != mac.bytes.size()) {
    throw Failure(Api::kTpm, "ERR_TPM", "the TPM answered a MAC of another length than 32 bytes")
        .At(command, 0, "");
  }
  std::copy_n(digest->buffer, mac.bytes.size(), mac.bytes.begin());
  return mac;
}

}  // namespace

MacCommands::MacCommands(ESYS_CONTEXT& esys)
    : esys_(esys),
      chunk_(std::min<size_t>(InputBufferSize(esys), TPM2_MAX_DIGEST_BUFFER)),
      has_hmac_(HasCommand(esys, TPM2_CC_HMAC)) {}

Mac MacCommands::Compute(ESYS_TR key, Authorization& authorization, std::span<const uint8_t> message) {
  if (message.size() <= chunk_) {
    try {
      if (auto mac = Single(key, authorization, message)) return std::move(*mac);
    } catch (const Failure& failure) {
      // A policy may allow sequences, and no more.
      if (!IsUnsatisfied(failure) || !authorization.Names(TPM2_CC_HMAC_Start)) throw;
    }
  }
  return Sequence(key, authorization, message);
}

// Nothing where the TPM does not have the command.
std::optional<Mac> MacCommands::Single(ESYS_TR key, Authorization& authorization,
                                       std::span<const uint8_t> message) {
  if (!has_hmac_) return std::nullopt;
  const TPM2B_MAX_BUFFER buffer = Buffer(message);
  TPM2B_DIGEST* digest = nullptr;
  const TSS2_RC rc = authorization.UseKey(key, TPM2_CC_HMAC, [&](ESYS_TR first, ESYS_TR second) {
    return Esys_HMAC(&esys_, key, first, second, ESYS_TR_NONE, &buffer, TPM2_ALG_SHA256, &digest);
  });
  if (Answered(rc, TPM2_RC_COMMAND_CODE)) {
    has_hmac_ = false;  // listed by the TPM, refused by it or by a filter in front of it
    return std::nullopt;
  }
  Check(rc, "TPM2_HMAC");
  return Take(digest, "TPM2_HMAC");
}

Mac MacCommands::Sequence(ESYS_TR key, Authorization& authorization, std::span<const uint8_t> message) {
  const TPM2B_AUTH no_password{};
  ESYS_TR started = ESYS_TR_NONE;
  const TSS2_RC rc = authorization.UseKey(key, TPM2_CC_HMAC_Start, [&](ESYS_TR first, ESYS_TR second) {
    return Esys_HMAC_Start(&esys_, key, first, second, ESYS_TR_NONE, &no_password, TPM2_ALG_SHA256, &started);
  });
  Check(rc, "TPM2_HMAC_Start");
  // From here on the sequence authorises itself, by its empty password: a policy of the key's is done with.
  Object sequence(esys_, started);
  for (; message.size() > chunk_; message = message.subspan(chunk_)) {
    const TPM2B_MAX_BUFFER buffer = Buffer(message.first(chunk_));
    Command("TPM2_SequenceUpdate", [&] {
      return Esys_SequenceUpdate(&esys_, sequence.get(), authorization.first(), authorization.second(),
                                 ESYS_TR_NONE, &buffer);
    });
  }
  const TPM2B_MAX_BUFFER last = Buffer(message);
  TPM2B_DIGEST* digest = nullptr;
  Command("TPM2_SequenceComplete", [&] {
    return Esys_SequenceComplete(&esys_, sequence.get(), authorization.first(), authorization.second(),
                                 ESYS_TR_NONE, &last, ESYS_TR_RH_NULL, &digest, nullptr);
  });
  sequence.Release();  // the TPM flushed it, and ESYS forgot it
  return Take(digest, "TPM2_SequenceComplete");
}

}  // namespace aws_hmac::tpm
