#pragma once

#include <utility>

namespace aws_hmac {

/// Owns one handle of a C API. `Traits` gives `Value` (the handle's type), `kNone` (its empty value) and
/// `static void Release(Owner&, Value) noexcept`; `Owner` is what the release call needs (a context, a
/// module). A handle must not outlive its owner.
template <typename Owner, typename Traits>
class Handle {
 public:
  using Value = typename Traits::Value;

  Handle() noexcept = default;
  Handle(Owner& owner, Value value) noexcept : owner_(&owner), value_(value) {}
  Handle(Handle&& other) noexcept
      : owner_(other.owner_), value_(std::exchange(other.value_, Traits::kNone)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(value_, other.value_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { Reset(); }

  Value get() const noexcept { return value_; }
  explicit operator bool() const noexcept { return value_ != Traits::kNone; }
  /// Gives the handle up without releasing it.
  Value Release() noexcept { return std::exchange(value_, Traits::kNone); }
  void Reset() noexcept {
    if (value_ != Traits::kNone) Traits::Release(*owner_, std::exchange(value_, Traits::kNone));
  }

 private:
  Owner* owner_ = nullptr;
  Value value_ = Traits::kNone;
};

}  // namespace aws_hmac
