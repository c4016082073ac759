#include "tpm/capability.h"

#include "tpm/command.h"
#include "tpm/objects.h"

namespace aws_hmac::tpm {
namespace {

// Asks for items from `property` on; the TPM leaves out those that it does not have.
EsysPtr<TPMS_CAPABILITY_DATA> Ask(ESYS_CONTEXT& esys, TPM2_CAP capability, UINT32 property,
                                  UINT32 count = 1) {
  TPMI_YES_NO more = TPM2_NO;
  TPMS_CAPABILITY_DATA* data = nullptr;
  Command("TPM2_GetCapability", [&] {
    return Esys_GetCapability(&esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, capability, property, count,
                              &more, &data);
  });
  return EsysPtr<TPMS_CAPABILITY_DATA>(data);
}

}  // namespace

uint32_t InputBufferSize(ESYS_CONTEXT& esys) {
  constexpr uint32_t kSmallest = 1024;  // every profile of the TCG has at least this
  const auto answer = Ask(esys, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_INPUT_BUFFER);
  const auto& properties = answer->data.tpmProperties;
  const bool known = properties.count == 1 && properties.tpmProperty[0].property == TPM2_PT_INPUT_BUFFER &&
                     properties.tpmProperty[0].value > 0;
  return known ? properties.tpmProperty[0].value : kSmallest;
}

bool HasCommand(ESYS_CONTEXT& esys, TPM2_CC command) {
  const auto answer = Ask(esys, TPM2_CAP_COMMANDS, command);
  const auto& commands = answer->data.command;
  return commands.count == 1 && (commands.commandAttributes[0] & TPMA_CC_COMMANDINDEX_MASK) == command;
}

bool HasHandle(ESYS_CONTEXT& esys, TPM2_HANDLE handle) {
  const auto answer = Ask(esys, TPM2_CAP_HANDLES, handle);
  const auto& handles = answer->data.handles;
  return handles.count == 1 && handles.handle[0] == handle;
}

std::vector<TPM2_HANDLE> PersistentHandles(ESYS_CONTEXT& esys) {
  std::vector<TPM2_HANDLE> all;
  // One answer need not hold all of them, whatever is asked for.
  for (TPM2_HANDLE from = TPM2_PERSISTENT_FIRST;;) {
    const auto answer = Ask(esys, TPM2_CAP_HANDLES, from, TPM2_MAX_CAP_HANDLES);
    const auto& handles = answer->data.handles;
    for (UINT32 i = 0; i < handles.count; i++) all.push_back(handles.handle[i]);
    if (handles.count > 0 && all.back() < from) {
      throw Failure(Api::kTpm, "ERR_TPM", "the TPM lists its handles over and over")
          .At("TPM2_GetCapability", 0, "");
    }
    if (handles.count == 0 || all.back() == TPM2_PERSISTENT_LAST) return all;
    from = all.back() + 1;
  }
}

std::vector<TPMS_TAGGED_PROPERTY> Properties(ESYS_CONTEXT& esys) {
  std::vector<TPMS_TAGGED_PROPERTY> all;
  for (const TPM2_PT group : {TPM2_PT_FIXED, TPM2_PT_VAR}) {
    // An answer need not hold all of a group, and holds nothing of the next one.
    for (TPM2_PT from = group;;) {
      const auto answer = Ask(esys, TPM2_CAP_TPM_PROPERTIES, from, TPM2_MAX_TPM_PROPERTIES);
      const auto& properties = answer->data.tpmProperties;
      for (UINT32 i = 0; i < properties.count; i++) all.push_back(properties.tpmProperty[i]);
      if (properties.count == 0) break;
      if (all.back().property < from) {
        throw Failure(Api::kTpm, "ERR_TPM", "the TPM tells its properties over and over")
            .At("TPM2_GetCapability", 0, "");
      }
      from = all.back().property + 1;
    }
  }
  return all;
}

}  // namespace aws_hmac::tpm
