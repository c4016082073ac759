#include "tpm/swtpm_transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "tpm/errno_code.h"
#include "tpm/response_code.h"

namespace aws_hmac::tpm {
namespace {

ssize_t SendQuietly(int socket, const void* data, size_t size) {
  return send(socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool IsPort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port != 0;
}

// The kernel bounds connect() itself by the time that sending may take, on TCP as on Unix sockets.
TSS2_RC ConnectTo(const sockaddr* address, socklen_t size, std::chrono::microseconds bound,
                  Descriptor& result) {
  const timeval limit{.tv_sec = bound.count() / 1'000'000, .tv_usec = bound.count() % 1'000'000};
  const int at_once = 1;
  Descriptor made(socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made || setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return FromErrno(errno);
  }
  if (address->sa_family != AF_UNIX &&
      setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) != 0) {
    return FromErrno(errno);
  }
  if (connect(made.get(), address, size) != 0) {
    return FromErrno(errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno);
  }
  result = std::move(made);
  return TSS2_RC_SUCCESS;
}

std::chrono::microseconds TimeLeft(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::microseconds>(deadline - Deadline::clock::now());
  return std::max(left, std::chrono::microseconds(1000));  // none would be no bound
}

TSS2_RC ConnectUnix(const std::string& path, Deadline deadline, Descriptor& result) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return ConnectTo(reinterpret_cast<const sockaddr*>(&address), sizeof address, TimeLeft(deadline), result);
}

TSS2_RC ConnectTcp(const addrinfo* addresses, Deadline deadline, Descriptor& result) {
  TSS2_RC rc = FromErrno(EADDRNOTAVAIL);
  for (const addrinfo* one = addresses; one != nullptr && rc != TSS2_RC_SUCCESS; one = one->ai_next) {
    const auto bound = one->ai_next == nullptr ? TimeLeft(deadline) : TimeLeft(deadline) / 2;
    rc = ConnectTo(one->ai_addr, one->ai_addrlen, bound, result);
  }
  return rc;
}

Failure Misconfigured(const std::string& what) {
  return Failure(Api::kTpm, "ERR_TPM_TCTI",
                 "the TCTI swtpm is configured by host=…,port=… or path=…, not by \"" + what + "\"")
      .At("connect", TSS2_TCTI_RC_BAD_VALUE, NameOf(TSS2_TCTI_RC_BAD_VALUE));
}

Failure NotFound(const SwtpmAddress& address, int error) {
  return Failure(Api::kTpm, "ERR_TPM_CONNECTION",
                 "the host " + address.host + " of the option tcti cannot be found: " + gai_strerror(error),
                 true)
      .At("getaddrinfo", 0, "");
}

}  // namespace

SwtpmAddress SwtpmAddress::Parse(const std::string& configuration) {
  SwtpmAddress address;
  for (std::string_view rest = configuration; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
    if (key == "host" && !value.empty()) {
      address.host = value;
    } else if (key == "port" && IsPort(value)) {
      address.port = value;
    } else if (key == "path" && !value.empty() && value.size() < sizeof(sockaddr_un::sun_path)) {
      address.path = value;
    } else {
      throw Misconfigured(std::string(pair));
    }
  }
  return address;
}

SwtpmTransport::SwtpmTransport(const SwtpmAddress& address, Deadline deadline) : path_(address.path) {
  if (path_.empty()) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &wanted, &found);
    if (error != 0) throw NotFound(address, error);
    addresses_.reset(found);
  }
  const TSS2_RC rc = Connect(deadline);
  if (rc == TSS2_RC_SUCCESS) return;
  const std::string place = path_.empty() ? address.host + " port " + address.port : path_;
  const ErrnoMeaning meaning = MeaningOf(ErrnoOf(rc));
  throw ToFailure(rc, "connect", meaning.code, "no software TPM at " + place + ": " + meaning.words);
}

TSS2_RC SwtpmTransport::Send(std::span<const uint8_t> command, Deadline deadline) {
  const TSS2_RC rc = ShallConnect() ? Connect(deadline) : TSS2_RC_SUCCESS;
  return rc == TSS2_RC_SUCCESS ? WriteAll(socket_.get(), SendQuietly, command, deadline) : rc;
}

TSS2_RC SwtpmTransport::Receive(std::span<uint8_t> response, size_t& size, Deadline deadline) {
  return ReadResponse(socket_.get(), response, size, deadline);
}

void SwtpmTransport::Rest() noexcept { socket_.Close(); }

bool SwtpmTransport::ShallConnect() const {
  // A client that waits is ahead of us when we come back.
  constexpr std::chrono::milliseconds kTurn{100};
  if (!socket_ || std::chrono::steady_clock::now() - connected_ > kTurn) return true;
  // Nothing is to be read before a command: only that the TPM has closed the connection, or was restarted.
  uint8_t unexpected = 0;
  return recv(socket_.get(), &unexpected, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

TSS2_RC SwtpmTransport::Connect(Deadline deadline) {
  socket_.Close();
  turns_++;
  const TSS2_RC rc =
      path_.empty() ? ConnectTcp(addresses_.get(), deadline, socket_) : ConnectUnix(path_, deadline, socket_);
  connected_ = std::chrono::steady_clock::now();
  return rc;
}

}  // namespace aws_hmac::tpm
