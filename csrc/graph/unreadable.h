#pragma once

#include <c10/util/Exception.h>

#include <string>
#include <utility>
#include <variant>

#include "detail.h"

namespace natgrad::detail {

/// What the reading of a loss throws where the loss is none that natgrad can read. It is caught in
/// one place, `as_readable`; whatever else is thrown there (a freed graph, memory that has run out)
/// is no property of the loss, and passes.
class UnreadableLoss final : public c10::Error {
 public:
  using Error::Error;
};

/// As TORCH_CHECK, for what makes a loss unreadable.
#define NATGRAD_CHECK_READABLE(condition, ...)                                      \
  do {                                                                              \
    if (C10_UNLIKELY(!(condition)))                                                 \
      throw ::natgrad::detail::UnreadableLoss(                                      \
          c10::SourceLocation{__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, \
          c10::str(__VA_ARGS__));                                                   \
  } while (false)

/// Why a loss cannot be read, and the way out.
struct Refusal {
  std::string reason;
};

template <class T>
using Readable = std::variant<T, Refusal>;

template <class T>
bool is_read(const Readable<T>& answer) {
  return std::holds_alternative<T>(answer);
}

/// Throws `c10::Error` with the reason, where there is one.
template <class T>
const T& value_of(const Readable<T>& answer) {
  if (!is_read(answer)) TORCH_CHECK(false, std::get<Refusal>(answer).reason);
  return std::get<T>(answer);
}

/// What `read` answers, or why it does not. An op that cannot be differentiated twice makes a loss
/// unreadable too: its terms are read by derivatives of it.
template <class Read>
auto as_readable(Read&& read) -> Readable<decltype(read())> {
  try {
    return read();
  } catch (const UnreadableLoss& error) {
    return Refusal{error.what_without_backtrace()};
  } catch (const c10::NotImplementedError& error) {
    return Refusal{error.what_without_backtrace()};
  }
}

}  // namespace natgrad::detail
