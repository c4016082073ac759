#include "tpm/policy_values.h"

#include <algorithm>
#include <iterator>

#include "tpm/command.h"
#include "tpm/connection.h"
#include "tpm/objects.h"
#include "tpm/pcr_selection.h"
#include "tpm/salt.h"

namespace aws_hmac::tpm {
namespace {

bool HasAny(const TPML_PCR_SELECTION& selection) {
  const TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  return selection.count > 0 &&
         std::any_of(bank.pcrSelect, bank.pcrSelect + bank.sizeofSelect, [](BYTE bits) { return bits != 0; });
}

/// Takes `done` out of what is wanted; false if nothing of it was.
bool Remove(TPMS_PCR_SELECTION& wanted, const TPMS_PCR_SELECTION& done) {
  bool is_any = false;
  for (size_t i = 0; i < std::size(wanted.pcrSelect); i++) {
    const BYTE both = wanted.pcrSelect[i] & done.pcrSelect[i];
    is_any = is_any || both != 0;
    wanted.pcrSelect[i] ^= both;
  }
  return is_any;
}

// One answer has at most eight values, and says which.
Bytes ReadPcrs(ESYS_CONTEXT& esys, TPML_PCR_SELECTION wanted) {
  Bytes values;
  while (HasAny(wanted)) {
    TPML_PCR_SELECTION* selection = nullptr;
    TPML_DIGEST* digests = nullptr;
    const TSS2_RC rc = Answer([&] {
      return Esys_PCR_Read(&esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, nullptr, &selection,
                           &digests);
    });
    if (Answered(rc, TPM2_RC_HASH)) break;  // it does not know the bank at all
    Check(rc, "TPM2_PCR_Read");
    const EsysPtr<TPML_PCR_SELECTION> read(selection);
    const EsysPtr<TPML_DIGEST> answered(digests);
    if (answered->count == 0 || !HasAny(*read)) break;
    for (UINT32 i = 0; i < answered->count; i++) {
      const TPM2B_DIGEST& value = answered->digests[i];
      values.insert(values.end(), value.buffer, value.buffer + value.size);
    }
    if (!Remove(wanted.pcrSelections[0], read->pcrSelections[0])) {
      throw Failure(Api::kTpm, "ERR_TPM", "the TPM answers other PCRs than it was asked for")
          .At("TPM2_PCR_Read", 0, "");
    }
  }
  return values;
}

Object FindOrMake(ESYS_CONTEXT& esys, const NamedObject& object) {
  if (object.handle >> TPM2_HR_SHIFT != TPM2_HT_PERMANENT) return FindPersistent(esys, object.handle);
  return MakePrimary(esys, object.handle, object.primary, object.hierarchy_password);
}

Bytes ReadName(ESYS_CONTEXT& esys, const NamedObject& wanted) {
  try {
    const Object object = FindOrMake(esys, wanted);
    const auto name = ObjectName(esys, object.get());
    return {name->name, name->name + name->size};
  } catch (const Failure& failure) {
    if (!Answered(static_cast<TSS2_RC>(failure.number), TPM2_RC_HANDLE)) throw;
    return {};
  }
}

}  // namespace

TPML_PCR_SELECTION SelectionOf(const PolicyPcr& step) {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  bank.hash = step.bank;
  bank.sizeofSelect = static_cast<UINT8>(std::min(step.selected.size(), sizeof bank.pcrSelect));
  std::copy_n(step.selected.begin(), bank.sizeofSelect, bank.pcrSelect);
  return selection;
}

PolicyValues ReadPolicyValues(const PolicyQuery& query) {
  const Connection connection(query.tcti, query.timeout);
  PolicyValues values;
  for (const PolicyPcr& pcrs : query.pcrs) {
    values.pcrs.push_back(ReadPcrs(connection.esys(), SelectionOf(pcrs)));
  }
  for (const NamedObject& object : query.objects) {
    values.names.push_back(ReadName(connection.esys(), object));
  }
  return values;
}

}  // namespace aws_hmac::tpm
