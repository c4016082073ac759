#include "kept_tcti.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#include "loop.h"

enum { kHeaderBytes = 10 };  // of a response: tag, size of the whole, response code

typedef struct {
  TSS2_TCTI_CONTEXT_COMMON_V1 common;
  int socket;
  uint8_t response[TPM2_MAX_RESPONSE_SIZE];
  size_t received;
} Kept;

static TSS2_RC Transmit(TSS2_TCTI_CONTEXT* tcti, size_t size, const uint8_t* command) {
  const ssize_t sent = send(((Kept*)tcti)->socket, command, size, MSG_NOSIGNAL);
  return sent == (ssize_t)size ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_IO_ERROR;
}

static size_t SizeOf(const uint8_t* response) {
  uint32_t size;
  memcpy(&size, response + 2, sizeof size);
  return ntohl(size);
}

// Waits without end. Without `response` it is asked for the size alone, and then again.
static TSS2_RC Receive(TSS2_TCTI_CONTEXT* tcti, size_t* size, uint8_t* response, int32_t timeout) {
  (void)timeout;
  Kept* kept = (Kept*)tcti;
  while (kept->received < kHeaderBytes || kept->received < SizeOf(kept->response)) {
    const size_t room = sizeof kept->response - kept->received;
    const ssize_t received = recv(kept->socket, kept->response + kept->received, room, 0);
    if (received <= 0) return TSS2_TCTI_RC_IO_ERROR;
    kept->received += (size_t)received;
  }
  const size_t room = *size;
  *size = kept->received;
  if (response == NULL) return TSS2_RC_SUCCESS;
  if (room < kept->received) return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
  memcpy(response, kept->response, kept->received);
  kept->received = 0;
  return TSS2_RC_SUCCESS;
}

TSS2_TCTI_CONTEXT* OpenKeptTcti(const char* configuration) {
  static Kept kept;
  kept.common = (TSS2_TCTI_CONTEXT_COMMON_V1){.version = 1, .transmit = Transmit, .receive = Receive};

  char host[INET_ADDRSTRLEN];
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (sscanf(configuration, "host=%15[0-9.],port=%hu", host, &address.sin_port) != 2 ||
      inet_pton(AF_INET, host, &address.sin_addr) != 1) {
    fprintf(stderr, "not host=…,port=…: %s\n", configuration);
    exit(2);
  }
  address.sin_port = htons(address.sin_port);

  const int at_once = 1;
  kept.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (kept.socket < 0 || setsockopt(kept.socket, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once) != 0 ||
      connect(kept.socket, (struct sockaddr*)&address, sizeof address) != 0) {
    perror(configuration);
    exit(1);
  }
  return (TSS2_TCTI_CONTEXT*)&kept;
}

void CloseKeptTcti(TSS2_TCTI_CONTEXT* tcti) { close(((Kept*)tcti)->socket); }
