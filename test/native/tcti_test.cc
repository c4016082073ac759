#include "tpm/tcti.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "tpm/errno_code.h"
#include "tpm/frame.h"
#include "tpm/patience.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Bytes Frame(uint32_t code, const Bytes& body = {}) {
  Bytes frame(kHeaderSize + body.size());
  frame[0] = 0x80;
  frame[1] = 0x01;
  WriteUint32(frame, 2, static_cast<uint32_t>(frame.size()));
  WriteUint32(frame, 6, code);
  std::ranges::copy(body, frame.begin() + kHeaderSize);
  return frame;
}

Bytes Handle(TPM2_HANDLE handle) {
  Bytes bytes(4);
  WriteUint32(bytes, 0, handle);
  return bytes;
}

/// What passed, and what is answered next: a response, or the error that stands for none.
struct Script {
  struct Answer {
    TSS2_RC rc;
    Bytes response;
  };
  std::deque<Answer> answers;
  std::vector<Bytes> sent;
  std::vector<milliseconds> patience;
  unsigned rests = 0;
};

class Scripted : public Transport {
 public:
  explicit Scripted(Script& script) : script_(script) {}

  TSS2_RC Send(std::span<const uint8_t> command, Deadline deadline) override {
    script_.sent.emplace_back(command.begin(), command.end());
    script_.patience.push_back(std::chrono::round<milliseconds>(deadline - Deadline::clock::now()));
    return TSS2_RC_SUCCESS;
  }
  TSS2_RC Receive(std::span<uint8_t> response, size_t& size, Deadline /*deadline*/) override {
    const Script::Answer answer = script_.answers.front();
    script_.answers.pop_front();
    std::ranges::copy(answer.response, response.begin());
    size = answer.response.size();
    return answer.rc;
  }
  void Rest() noexcept override { script_.rests++; }

 private:
  Script& script_;
};

/// A TCTI as ESYS sees it.
struct TctiTest : public testing::Test {
  Script script;
  Tcti tcti{std::make_unique<Scripted>(script), seconds(5)};

  TSS2_RC Transmit(const Bytes& command) {
    return Tss2_Tcti_Transmit(tcti.context(), command.size(), command.data());
  }
  TSS2_RC Receive(size_t& size, uint8_t* response) {
    return Tss2_Tcti_Receive(tcti.context(), &size, response, TSS2_TCTI_TIMEOUT_BLOCK);
  }
  /// One command and its response.
  TSS2_RC Exchange(const Bytes& command, Script::Answer answer) {
    script.answers.push_back(std::move(answer));
    const TSS2_RC rc = Transmit(command);
    Bytes response(TPM2_MAX_RESPONSE_SIZE);
    size_t size = response.size();
    return rc == TSS2_RC_SUCCESS ? Receive(size, response.data()) : rc;
  }
};

const Bytes kGetRandom = Frame(TPM2_CC_GetRandom, {0, 8});

TEST_F(TctiTest, TellsTheSizeOfAResponseAndHandsItOutOnce) {
  const Bytes answer = Frame(TPM2_RC_SUCCESS, {1, 2, 3});
  script.answers.push_back({TSS2_RC_SUCCESS, answer});
  ASSERT_EQ(Transmit(kGetRandom), TSS2_RC_SUCCESS);
  EXPECT_EQ(script.sent, std::vector<Bytes>{kGetRandom});
  size_t size = 0;
  EXPECT_EQ(Receive(size, nullptr), TSS2_RC_SUCCESS);
  EXPECT_EQ(size, answer.size());
  Bytes response(answer.size());
  size = answer.size() - 1;
  EXPECT_EQ(Receive(size, response.data()), TSS2_TCTI_RC_INSUFFICIENT_BUFFER);
  EXPECT_EQ(size, answer.size());
  EXPECT_EQ(Receive(size, response.data()), TSS2_RC_SUCCESS);
  EXPECT_EQ(response, answer);
  EXPECT_EQ(Receive(size, response.data()), TSS2_TCTI_RC_BAD_SEQUENCE);
}

TEST_F(TctiTest, RefusesWhatIsOutOfTurnOrNoCommand) {
  size_t size = 0;
  EXPECT_EQ(Receive(size, nullptr), TSS2_TCTI_RC_BAD_SEQUENCE);
  EXPECT_EQ(Transmit(Bytes(9)), TSS2_TCTI_RC_BAD_VALUE);
  Bytes longer = kGetRandom;
  longer.push_back(0);
  EXPECT_EQ(Transmit(longer), TSS2_TCTI_RC_BAD_VALUE);
  EXPECT_EQ(Tss2_Tcti_Transmit(tcti.context(), 10, nullptr), TSS2_TCTI_RC_BAD_REFERENCE);
  EXPECT_EQ(Tss2_Tcti_Receive(tcti.context(), nullptr, nullptr, -1), TSS2_TCTI_RC_BAD_REFERENCE);
  EXPECT_EQ(Tss2_Tcti_Cancel(tcti.context()), TSS2_TCTI_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(Tss2_Tcti_SetLocality(tcti.context(), 1), TSS2_TCTI_RC_NOT_IMPLEMENTED);
  EXPECT_EQ(Transmit(kGetRandom), TSS2_RC_SUCCESS);
  EXPECT_EQ(Transmit(kGetRandom), TSS2_TCTI_RC_BAD_SEQUENCE);
  EXPECT_EQ(script.sent.size(), 1U);
}

TEST_F(TctiTest, GivesEachCommandItsTime) {
  for (const TPM2_CC code : {TPM2_CC_HMAC, TPM2_CC_CreatePrimary}) {
    EXPECT_EQ(Exchange(Frame(code, Handle(TPM2_RH_NULL)), {TSS2_RC_SUCCESS, Frame(TPM2_RC_FAILURE)}),
              TSS2_RC_SUCCESS);
  }
  EXPECT_LE(abs(script.patience[0] - seconds(5)), seconds(1));
  EXPECT_LE(abs(script.patience[1] - seconds(120)), seconds(1));
}

TEST(Patience, IsTwoMinutesWhereKeysAreMade) {
  for (const TPM2_CC code : {TPM2_CC_CreatePrimary, TPM2_CC_Create, TPM2_CC_CreateLoaded, TPM2_CC_Import,
                             TPM2_CC_SelfTest, TPM2_CC_IncrementalSelfTest}) {
    EXPECT_EQ(PatienceFor(code, milliseconds(300)), seconds(120));
    EXPECT_EQ(PatienceFor(code, seconds(200)), seconds(200));
  }
  for (const TPM2_CC code : {TPM2_CC_HMAC, TPM2_CC_Load, TPM2_CC_StartAuthSession, TPM2_CC_FlushContext}) {
    EXPECT_EQ(PatienceFor(code, milliseconds(300)), milliseconds(300));
  }
}

TEST_F(TctiTest, TakesNothingMoreOnceItIsBroken) {
  EXPECT_EQ(Exchange(kGetRandom, {FromErrno(ECONNRESET), {}}), FromErrno(ECONNRESET));
  EXPECT_EQ(Transmit(kGetRandom), FromErrno(ECONNRESET));
  EXPECT_EQ(script.sent.size(), 1U);
  EXPECT_FALSE(tcti.AwaitsAnswer());
}

TEST_F(TctiTest, RestsBetweenCommandsOnly) {
  ASSERT_EQ(Transmit(kGetRandom), TSS2_RC_SUCCESS);
  tcti.Rest();
  EXPECT_EQ(script.rests, 0U);
  script.answers.push_back({TSS2_RC_SUCCESS, Frame(TPM2_RC_SUCCESS)});
  Bytes response(kHeaderSize);
  size_t size = response.size();
  ASSERT_EQ(Receive(size, response.data()), TSS2_RC_SUCCESS);
  tcti.Rest();
  EXPECT_EQ(script.rests, 1U);
}

TEST_F(TctiTest, FlushesWhatItHoldsWhenALateAnswerComes) {
  constexpr TPM2_HANDLE kKey = 0x80000000;
  constexpr TPM2_HANDLE kSequence = 0x80000001;
  constexpr TPM2_HANDLE kSession = 0x02000000;
  constexpr TPM2_HANDLE kLate = 0x02000001;
  const auto made = [](TPM2_HANDLE handle) {
    return Script::Answer{TSS2_RC_SUCCESS, Frame(TPM2_RC_SUCCESS, Handle(handle))};
  };
  const Script::Answer done{TSS2_RC_SUCCESS, Frame(TPM2_RC_SUCCESS)};
  const Script::Answer refused{TSS2_RC_SUCCESS, Frame(TPM2_RC_OBJECT_MEMORY)};
  const Script::Answer silence{FromErrno(ETIMEDOUT), {}};
  Exchange(Frame(TPM2_CC_Load, Handle(TPM2_RH_OWNER)), made(kKey));
  Exchange(Frame(TPM2_CC_HMAC_Start, Handle(kKey)), made(kSequence));
  Exchange(Frame(TPM2_CC_SequenceComplete, Handle(kSequence)), done);
  Exchange(Frame(TPM2_CC_Load, Handle(TPM2_RH_OWNER)), refused);
  Exchange(Frame(TPM2_CC_StartAuthSession, Handle(TPM2_RH_NULL)), made(kSession));
  Exchange(Frame(TPM2_CC_FlushContext, Handle(kSession)), refused);
  EXPECT_EQ(Exchange(Frame(TPM2_CC_StartAuthSession, Handle(TPM2_RH_NULL)), silence), FromErrno(ETIMEDOUT));
  EXPECT_TRUE(tcti.AwaitsAnswer());
  script.sent.clear();

  script.answers = {silence};
  EXPECT_EQ(tcti.CleanUp(milliseconds(0)), FromErrno(ETIMEDOUT));
  EXPECT_TRUE(tcti.AwaitsAnswer());
  script.answers = {made(kLate), done, refused, done};
  EXPECT_EQ(tcti.CleanUp(milliseconds(0)), TSS2_RC_SUCCESS);
  EXPECT_EQ(script.sent, (std::vector<Bytes>{Frame(TPM2_CC_FlushContext, Handle(kKey)),
                                             Frame(TPM2_CC_FlushContext, Handle(kSession)),
                                             Frame(TPM2_CC_FlushContext, Handle(kLate))}));
  EXPECT_FALSE(tcti.AwaitsAnswer());
  EXPECT_EQ(Transmit(kGetRandom), FromErrno(ETIMEDOUT));
}

TEST(ErrnoCode, KeepsTheNumberInARangeOfItsOwn) {
  for (const int number : {EACCES, ETIMEDOUT, ECONNREFUSED, 133})
    EXPECT_EQ(ErrnoOf(FromErrno(number)), number);
  EXPECT_EQ(ErrnoOf(TSS2_TCTI_RC_IO_ERROR), 0);
  EXPECT_EQ(ErrnoOf(TPM2_RC_FAILURE), 0);
  EXPECT_EQ(NameOf(FromErrno(ECONNRESET)), "ECONNRESET");
  EXPECT_EQ(NameOf(FromErrno(133)), "errno 133");
}

TEST(ErrnoCode, SaysWhatToDo) {
  struct Expected {
    int number;
    const char* code;
    bool retryable;
    const char* words;
  };
  for (const auto& expected : {Expected{ETIMEDOUT, "ERR_TIMEOUT", true, "option timeout"},
                               Expected{EACCES, "ERR_TPM_DEVICE_PERMISSION", false, "\"tss\""},
                               Expected{EBUSY, "ERR_TPM_DEVICE_BUSY", true, "/dev/tpmrm0"},
                               Expected{ENOENT, "ERR_TPM_DEVICE_NOT_FOUND", false, "firmware"},
                               Expected{ECONNREFUSED, "ERR_TPM_CONNECTION", true, "Connection refused"}}) {
    const TSS2_RC rc = FromErrno(expected.number);
    const Failure failure = ToFailure(rc, "TPM2_HMAC");
    EXPECT_STREQ(failure.code, expected.code);
    EXPECT_EQ(failure.retryable, expected.retryable);
    EXPECT_NE(std::string(failure.what()).find(expected.words), std::string::npos) << failure.what();
    EXPECT_EQ(failure.number, rc);
    EXPECT_EQ(failure.device_hangs, expected.number == ETIMEDOUT);
    EXPECT_TRUE(IsBroken(rc));
  }
}

}  // namespace
}  // namespace aws_hmac::tpm
