#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "core/bytes.h"
#include "core/failure.h"
#include "tpm/descriptor.h"
#include "tpm/device_transport.h"
#include "tpm/errno_code.h"
#include "tpm/response_code.h"
#include "tpm/swtpm_transport.h"
#include "tpm_fixture.h"

namespace aws_hmac::tpm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// TPM2_GetRandom and an answer to it.
constexpr auto kCommand = std::to_array<uint8_t>({0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 2});
constexpr auto kAnswer = std::to_array<uint8_t>({0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0, 2, 7, 9});

Deadline In(milliseconds time) { return Deadline::clock::now() + time; }

/// The two ends of a connection.
struct Pair {
  Pair() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) abort();
    ours = Descriptor(ends[0]);
    theirs = Descriptor(ends[1]);
  }
  void Answer(std::span<const uint8_t> bytes) const {
    EXPECT_EQ(write(theirs.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  TSS2_RC Read(milliseconds time = seconds(10)) { return ReadResponse(ours.get(), response, size, In(time)); }
  Descriptor ours, theirs;
  std::array<uint8_t, 64> response{};
  size_t size = 0;
};

TEST(ReadResponse, PutsThePiecesTogether) {
  Pair pair;
  std::jthread answer([&] {
    for (const uint8_t& byte : kAnswer) pair.Answer({&byte, 1});
  });
  EXPECT_EQ(pair.Read(), TSS2_RC_SUCCESS);
  EXPECT_TRUE(std::ranges::equal(std::span(pair.response).first(pair.size), kAnswer));
}

TEST(ReadResponse, SaysWhyThereIsNone) {
  Pair silent;
  EXPECT_EQ(silent.Read(milliseconds(20)), FromErrno(ETIMEDOUT));
  EXPECT_EQ(silent.size, 0U);
  Pair stops;
  stops.Answer(std::span(kAnswer).first(11));
  EXPECT_EQ(stops.Read(milliseconds(20)), FromErrno(ETIMEDOUT));
  EXPECT_EQ(stops.size, 11U);
  Pair gone;
  gone.theirs.Close();
  EXPECT_EQ(gone.Read(), FromErrno(ECONNRESET));
  Pair babbles;
  babbles.Answer(kAnswer);
  babbles.Answer(kAnswer);
  EXPECT_EQ(babbles.Read(), TSS2_TCTI_RC_MALFORMED_RESPONSE);
  Pair huge;
  constexpr std::array<uint8_t, 64> kEndless{0x80, 1, 0, 0, 1, 0};
  huge.Answer(kEndless);
  EXPECT_EQ(huge.Read(), FromErrno(EMSGSIZE));
}

TEST(SwtpmAddress, IsReadAsLibtss2Does) {
  const auto parsed = [](const char* configuration) {
    const SwtpmAddress address = SwtpmAddress::Parse(configuration);
    return address.path.empty() ? address.host + ":" + address.port : address.path;
  };
  EXPECT_EQ(parsed(""), "localhost:2321");
  EXPECT_EQ(parsed("port=1234"), "localhost:1234");
  EXPECT_EQ(parsed("host=::1,port=65535"), "::1:65535");
  EXPECT_EQ(parsed("port=1,host=tpm"), "tpm:1");
  EXPECT_EQ(parsed("path=/run/tpm"), "/run/tpm");
  for (const char* wrong : {"port", "port=", "port=0", "port=65536", "port=1x", "host=", "path=", "Port=1",
                            "port=1,,host=a", "localhost:2321"}) {
    EXPECT_STREQ(FailureOf([&] { SwtpmAddress::Parse(wrong); }).code, "ERR_TPM_TCTI") << wrong;
  }
  EXPECT_STREQ(FailureOf([] { SwtpmAddress::Parse("path=" + std::string(108, 'x')); }).code, "ERR_TPM_TCTI");
}

/// A server of one's own: the test decides when it takes, answers and closes connections.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(socket_.get(), any, size) != 0 || listen(socket_.get(), 8) != 0 ||
        getsockname(socket_.get(), any, &size) != 0) {
      abort();
    }
    port_ = std::to_string(ntohs(address.sin_port));
  }
  SwtpmAddress address() const { return {.host = "127.0.0.1", .port = port_, .path = ""}; }
  Descriptor Accept() const { return Descriptor(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  Descriptor socket_;
  std::string port_;
};

/// Takes a command at `client` and answers it.
void Serve(const Descriptor& client) {
  std::array<uint8_t, kCommand.size()> command{};
  EXPECT_EQ(recv(client.get(), command.data(), command.size(), MSG_WAITALL), ssize_t{kCommand.size()});
  EXPECT_EQ(write(client.get(), kAnswer.data(), kAnswer.size()), ssize_t{kAnswer.size()});
}

void Exchange(SwtpmTransport& transport, const Descriptor& client) {
  ASSERT_EQ(transport.Send(kCommand, In(seconds(10))), TSS2_RC_SUCCESS);
  Serve(client);
  std::array<uint8_t, 64> response{};
  size_t size = 0;
  EXPECT_EQ(transport.Receive(response, size, In(seconds(10))), TSS2_RC_SUCCESS);
  EXPECT_EQ(size, kAnswer.size());
}

bool IsClosed(const Descriptor& client) {
  char nothing = 0;
  return recv(client.get(), &nothing, 1, 0) == 0;
}

TEST(SwtpmTransport, KeepsItsConnectionUntilItRests) {
  const Listener listener;
  SwtpmTransport transport(listener.address(), In(seconds(10)));
  const Descriptor first = listener.Accept();
  Exchange(transport, first);
  Exchange(transport, first);
  transport.Rest();
  EXPECT_TRUE(IsClosed(first));
  ASSERT_EQ(transport.Send(kCommand, In(seconds(10))), TSS2_RC_SUCCESS);
  Serve(listener.Accept());
}

TEST(SwtpmTransport, DoesNotMindThatThePeerHasClosedMeanwhile) {
  const Listener listener;
  SwtpmTransport transport(listener.address(), In(seconds(10)));
  Exchange(transport, listener.Accept());  // which is closed here
  ASSERT_EQ(transport.Send(kCommand, In(seconds(10))), TSS2_RC_SUCCESS);
  Serve(listener.Accept());
}

TEST(SwtpmTransport, LetsAnotherClientInThoughItIsBusy) {
  const Listener listener;
  const std::jthread one_at_a_time([&] {  // as swtpm does
    for (unsigned clients = 0; clients < 3; clients++) {
      const Descriptor client = listener.Accept();
      std::array<uint8_t, kCommand.size()> command{};
      while (recv(client.get(), command.data(), command.size(), MSG_WAITALL) == ssize_t{kCommand.size()}) {
        EXPECT_EQ(write(client.get(), kAnswer.data(), kAnswer.size()), ssize_t{kAnswer.size()});
      }
    }
  });
  const auto exchange = [](SwtpmTransport& transport) {
    std::array<uint8_t, 64> response{};
    size_t size = 0;
    const TSS2_RC rc = transport.Send(kCommand, In(seconds(10)));
    return rc == TSS2_RC_SUCCESS ? transport.Receive(response, size, In(seconds(10))) : rc;
  };
  SwtpmTransport busy(listener.address(), In(seconds(10)));
  ASSERT_EQ(exchange(busy), TSS2_RC_SUCCESS);
  std::atomic<bool> served = false;
  const std::jthread other([&] {
    SwtpmTransport another(listener.address(), In(seconds(10)));
    EXPECT_EQ(exchange(another), TSS2_RC_SUCCESS);
    served = true;
  });
  const auto start = Deadline::clock::now();
  while (!served) ASSERT_EQ(exchange(busy), TSS2_RC_SUCCESS);
  EXPECT_LT(Deadline::clock::now() - start, seconds(5));
}

TEST(SwtpmTransport, ReachesAUnixSocket) {
  const std::string folder = std::filesystem::temp_directory_path() / "aws-hmac-XXXXXX";
  std::string path = folder;
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const std::string place = path + "/tpm";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  place.copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_STREQ(FailureOf([&] { SwtpmTransport({.path = place}, In(seconds(1))); }).code,
               "ERR_TPM_DEVICE_NOT_FOUND");
  {
    const Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener.get(), 0), 0);
    SwtpmTransport transport({.path = place}, In(seconds(10)));
    Exchange(transport, Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    // Its queue is full now: connecting waits, but not for ever.
    const SwtpmTransport waits({.path = place}, In(seconds(10)));
    EXPECT_STREQ(FailureOf([&] { SwtpmTransport({.path = place}, In(milliseconds(50))); }).code,
                 "ERR_TIMEOUT");
  }
  std::filesystem::remove_all(path);
}

/// A terminal is a character device too.
class Terminal {
 public:
  Terminal() : descriptor_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (grantpt(descriptor_.get()) != 0 || unlockpt(descriptor_.get()) != 0) abort();
    path_ = ptsname(descriptor_.get());
  }
  const std::string& path() const { return path_; }

 private:
  Descriptor descriptor_;
  std::string path_;
};

/// Whatever root may, another user may not.
Failure RefusedToOthers(const std::string& path) {
  constexpr uid_t kNobody = 65534;
  const uid_t self = geteuid();
  EXPECT_EQ(seteuid(self == 0 ? kNobody : self), 0);
  const Failure failure = FailureOf([&] { DeviceTransport device(path); });
  EXPECT_EQ(seteuid(self), 0);
  return failure;
}

TEST(DeviceTransport, NamesTheGroupWhereTheUserMayNot) {
  const Terminal terminal;
  ASSERT_EQ(chmod(terminal.path().c_str(), 0), 0);
  const Failure failure = RefusedToOthers(terminal.path());
  EXPECT_STREQ(failure.code, "ERR_TPM_DEVICE_PERMISSION");
  EXPECT_EQ(failure.number_name, "EACCES");
  EXPECT_NE(std::string(failure.what()).find("group, mostly \"tss\""), std::string::npos) << failure.what();
  EXPECT_FALSE(failure.retryable);
}

TEST(DeviceTransport, SaysThatAnotherProgramHoldsTheDevice) {
  const Terminal terminal;
  ASSERT_EQ(chmod(terminal.path().c_str(), 0666), 0);
  const Descriptor holder(open(terminal.path().c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(ioctl(holder.get(), TIOCEXCL), 0);
  const Failure failure = RefusedToOthers(terminal.path());
  EXPECT_STREQ(failure.code, "ERR_TPM_DEVICE_BUSY");
  EXPECT_EQ(failure.number_name, "EBUSY");
  EXPECT_TRUE(failure.retryable);
}

}  // namespace
}  // namespace aws_hmac::tpm
