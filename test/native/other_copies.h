#pragma once

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/secret_bytes.h"

namespace aws_hmac {

/// How many times the process's writable memory holds these bytes, the place that is given itself not
/// counted.
inline size_t OtherCopies(std::string_view bytes) {
  std::ifstream maps("/proc/self/maps");
  std::ifstream memory;
  memory.rdbuf()->pubsetbuf(nullptr, 0);  // a buffer would itself be a copy, and stay one
  memory.open("/proc/self/mem", std::ios::binary);
  // As what the pages are of: a char is signed, and would never equal a byte from 0x80 on.
  const auto* const wanted = reinterpret_cast<const uint8_t*>(bytes.data());
  const std::boyer_moore_horspool_searcher searcher(wanted, wanted + bytes.size());
  const auto itself = reinterpret_cast<uintptr_t>(bytes.data());
  constexpr uintptr_t kShadow = 1 << 30;  // a sanitizer's own memory is larger than anything of ours
  // Not a whole mapping at once: sanitizers keep what is freed, and such pieces grow together with what is
  // searched.
  constexpr size_t kPiece = 1 << 20;
  Bytes pages(kPiece);  // may lie within the very memory that it is a copy of
  const auto own = reinterpret_cast<uintptr_t>(pages.data());
  size_t copies = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" rw") == std::string::npos) continue;
    const uintptr_t last = std::stoul(line.substr(line.find('-') + 1), nullptr, 16);
    uintptr_t first = std::stoul(line, nullptr, 16);
    if (last - first > kShadow) continue;
    while (last - first >= bytes.size()) {
      const size_t size = std::min<size_t>(kPiece, last - first);
      memory.clear();
      memory.seekg(static_cast<std::streamoff>(first));
      memory.read(reinterpret_cast<char*>(pages.data()), static_cast<std::streamsize>(size));
      const auto end = pages.begin() + memory.gcount();
      for (auto at = pages.begin(); (at = std::search(at, end, searcher)) != end; ++at) {
        const uintptr_t address = first + static_cast<size_t>(at - pages.begin());
        if (address != itself && (address < own || address >= own + pages.size())) copies++;
      }
      first += size - (bytes.size() - 1);  // a copy may lie across two pieces
    }
  }
  Wipe(pages.data(), pages.size());
  return copies;
}

}  // namespace aws_hmac
