#pragma once

// What every test file needs: seeded inputs, distances between results, and the check that a call
// fails with a message that helps. Nothing here shares code with the library.

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace natgrad::testing {

using torch::Tensor;

/// A fresh CPU generator: the same seed gives the same numbers, whatever ran before.
inline at::Generator seeded(uint64_t seed) { return at::detail::createCPUGenerator(seed); }

/// Standard normal numbers in double.
inline Tensor randn(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, seeded(seed), torch::kDouble);
}

/// Q of the QR decomposition of a random matrix, [n, n].
inline Tensor random_orthogonal(int64_t n, uint64_t seed) {
  return std::get<0>(torch::linalg_qr(randn({n, n}, seed)));
}

/// Q diag(eigenvalues) Qᵀ for a random orthogonal Q, exactly symmetric.
inline Tensor symmetric_with_spectrum(const Tensor& eigenvalues, uint64_t seed) {
  const auto q = random_orthogonal(eigenvalues.numel(), seed);
  const auto matrix = (q * eigenvalues.to(torch::kDouble)).mm(q.t());
  return 0.5 * (matrix + matrix.t());
}

/// n numbers from 1 / condition to 1 at equal ratios.
inline Tensor geometric_spectrum(int64_t n, double condition) {
  return torch::logspace(-std::log10(condition), 0, n, 10, torch::kDouble);
}

/// A random symmetric positive definite matrix with eigenvalues from 1 / condition to 1.
inline Tensor random_spd(int64_t n, double condition, uint64_t seed) {
  return symmetric_with_spectrum(geometric_spectrum(n, condition), seed);
}

/// ‖actual - expected‖ / ‖expected‖ in double (‖actual‖ if expected is zero); infinite where the
/// shapes differ or a number is not finite, so that a comparison with a tolerance fails.
inline double relative_error(const Tensor& actual, const Tensor& expected) {
  if (!actual.defined() || !expected.defined() || actual.sizes() != expected.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  const auto to_double = [](const Tensor& t) { return t.detach().to(torch::kCPU, torch::kDouble); };
  const double norm = to_double(expected).norm().item<double>();
  const double error = (to_double(actual) - to_double(expected)).norm().item<double>();
  const double relative = norm > 0 ? error / norm : error;
  return relative == relative ? relative : std::numeric_limits<double>::infinity();
}

/// Same shape, dtype and bits (values that are NaN count as different).
inline bool identical(const Tensor& a, const Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && torch::equal(a, b);
}

inline bool all_finite(const Tensor& t) { return t.isfinite().all().item<bool>(); }

inline bool says(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// Passes if `call` throws a c10::Error whose message contains `needle`.
template <class F>
void expect_error(F&& call, std::string_view needle) {
  try {
    call();
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string_view(error.what_without_backtrace()).find(needle), std::string_view::npos)
        << "the message lacks \"" << needle << "\": " << error.what_without_backtrace();
    return;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "expected a c10::Error about \"" << needle << "\", but got: " << error.what();
    return;
  }
  ADD_FAILURE() << "expected an error about \"" << needle << "\", but nothing was thrown";
}

}  // namespace natgrad::testing
