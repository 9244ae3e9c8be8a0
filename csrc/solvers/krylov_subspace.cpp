#include <fmt/format.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "solvers/linear_system.h"

namespace natgrad {
namespace {

using torch::Tensor;

// A vector that a projection shortens to fewer roundings of its length is nothing but rounding; so
// is an eigenvalue below as many of the largest.
constexpr double kRoundings = 100;

/// Orthonormal vectors, as the rows of a matrix, and A between them.
class GrowingBasis {
 public:
  GrowingBasis(const LinearOperator& A, int64_t room)
      : A_(A),
        rows_(torch::empty({std::min(room, A.size()), A.size()}, A.options())),
        projected_(torch::zeros({rows_.size(0), rows_.size(0)}, torch::kDouble)) {}

  /// What is new in u becomes a basis vector v. False if nothing is, or if A v is not finite.
  bool append(Tensor u) {
    const double largest = largest_entry(u);
    if (!finite_ || count_ == rows_.size(0) || largest == 0) return false;
    u = u / largest;
    const double before = norm_in_double(u);
    // Twice is enough to reach rounding (Parlett 1980, section 6.9).
    for (int pass = 0; pass < 2; ++pass) u = torch::addmv(u, rows().t(), rows().mv(u), 1, -1);
    const double length = norm_in_double(u);
    if (!(length > kRoundings * rounding_of(u.options()) * before)) return false;
    rows_[count_++].copy_(u.div_(length));
    return multiply_newest();
  }

  /// A times the newest basis vector.
  const Tensor& newest_product() const { return product_; }

  KrylovBasis take() const {
    return {rows().t(), projected_.narrow(0, 0, count_).narrow(1, 0, count_), products_, finite_};
  }

 private:
  Tensor rows() const { return rows_.narrow(0, 0, count_); }

  /// h_kj = v_jᵀ(A v_k); the other triangle by symmetry.
  bool multiply_newest() {
    ++products_;
    const int64_t k = count_ - 1;
    product_ = A_.multiply(rows_[k]);
    const auto h = rows().mv(product_).to(torch::kCPU, torch::kDouble);
    finite_ = h.isfinite().all().item<bool>();
    if (finite_) {
      projected_[k].narrow(0, 0, count_).copy_(h);
      projected_.select(1, k).narrow(0, 0, count_).copy_(h);
    } else {
      --count_;
    }
    return finite_;
  }

  const LinearOperator& A_;
  Tensor rows_, projected_, product_;
  int64_t count_ = 0, products_ = 0;
  bool finite_ = true;
};

KrylovBasis build(const LinearSystem& system, int64_t dimension) {
  const auto& A = system.matrix;
  const auto& b = system.right_hand_side;
  const auto& previous = system.initial;
  const auto& M = system.preconditioner;
  dimension = std::min(dimension, A.size());
  GrowingBasis basis(A, dimension + previous.defined());
  const double largest = largest_entry(b);
  Tensor next = largest > 0 ? b / largest : b;
  if (M && largest > 0) {
    const Tensor z = M->multiply(next);
    check_preconditioned(next.dot(z).item<double>());
    next = z;
  }
  for (int64_t k = 0; k < dimension && basis.append(next); ++k) {
    if (k + 1 < dimension) {
      next = M ? M->multiply(basis.newest_product()) : basis.newest_product();
    }
  }
  if (previous.defined()) basis.append(previous);
  return basis.take();
}

void check_floor(double floor) {
  TORCH_CHECK(floor > 0 && floor <= 1,
              "natgrad: the floor of a projected matrix' eigenvalues is a share of the largest, in "
              "(0, 1], but is ",
              floor, ".");
}

void check_dimension(int64_t dimension) {
  TORCH_CHECK(dimension >= 1, "natgrad: a Krylov subspace has a dimension >= 1, but got ",
              dimension, ".");
}

void check_settings(const KrylovSubspace& options) {
  check_dimension(options.dimension());
  check_floor(options.floor());
  TORCH_CHECK(options.tolerance() >= 0 && options.tolerance() < 1,
              "natgrad: KrylovSubspace's tolerance lies in [0, 1), but is ", options.tolerance(),
              ".");
}

void check_finite(const Tensor& v, const char* what) {
  TORCH_CHECK(v.isfinite().all().item<bool>(), "natgrad: ", what,
              " of a Krylov subspace has numbers that are not finite.");
}

/// The least and the largest eigenvalue of the projected matrix, with what is rounding as zero.
struct Range {
  double least = 0, largest = 0;

  Range(const Tensor& projected, double rounding) {
    if (projected.size(0) == 0) return;
    const auto values = torch::linalg_eigvalsh(projected);
    const double noise = kRoundings * rounding * values.abs().max().item<double>();
    const auto unless_noise = [&](const Tensor& value) {
      const double v = value.item<double>();
      return std::abs(v) > noise ? v : 0;
    };
    least = unless_noise(values[0]);
    largest = unless_noise(values[-1]);
  }
};

Termination reason(const KrylovBasis& basis, const Range& eigenvalues, bool converged) {
  if (!basis.finite) return Termination::NonFinite;
  if (converged) return Termination::Converged;
  if (eigenvalues.least < 0) return Termination::NegativeCurvature;
  return eigenvalues.largest > 0 ? Termination::IterationLimit : Termination::Breakdown;
}

std::shared_ptr<const KrylovBasis> empty_basis(const Tensor& b) {
  return std::make_shared<const KrylovBasis>(
      KrylovBasis{b.new_empty({b.numel(), 0}), torch::empty({0, 0}, torch::kDouble)});
}

Solution with_basis(Solution solution, std::shared_ptr<const KrylovBasis> basis) {
  solution.basis = std::move(basis);
  return solution;
}

/// y = Ĥ⁻¹ b̄.
Tensor minimise(const Tensor& projected, const Tensor& b, double floor) {
  const auto factor = torch::linalg_cholesky(floor_eigenvalues(projected, floor));
  return torch::cholesky_solve(b.unsqueeze(1), factor).squeeze(1);
}

}  // namespace

KrylovBasis krylov_basis(const LinearOperator& A, const Tensor& b, int64_t dimension,
                         const Tensor& previous,
                         const std::optional<LinearOperator>& preconditioner) {
  torch::NoGradGuard no_grad;
  const LinearSystem system{A, b, previous, preconditioner};
  check_dimension(dimension);
  check_sizes(system);
  check_finite(b, "the first vector");
  if (previous.defined()) check_finite(previous, "the previous direction");
  return build(system, dimension);
}

Tensor floor_eigenvalues(const Tensor& matrix, double floor) {
  check_floor(floor);
  const auto [values, vectors] = torch::linalg_eigh(matrix);
  const double largest = values.numel() ? values[-1].item<double>() : 0;
  TORCH_CHECK(largest > 0,
              "natgrad: a matrix without a positive eigenvalue has no floor relative to its "
              "largest, which is ",
              largest, ".");
  return (vectors * values.clamp_min(floor * largest)).mm(vectors.t());
}

Solution KrylovSubspace::solve(const LinearSystem& system) const {
  torch::NoGradGuard no_grad;
  check_settings(*this);
  check_sizes(system);
  if (auto known = solution_without_products(system)) {
    return with_basis(*known, empty_basis(system.right_hand_side));
  }
  const auto& A = system.matrix;
  const auto& b = system.right_hand_side;
  const auto& previous = system.initial;
  if (previous.defined() && !previous.isfinite().all().item<bool>()) {
    return with_basis(zero_solution(system, Termination::NonFinite), empty_basis(b));
  }
  const auto built = std::make_shared<const KrylovBasis>(build(system, dimension_));
  const auto& basis = *built;
  const double rounding = rounding_of(b.options()), scale = largest_entry(b);
  const Range eigenvalues(basis.projected, rounding);
  if (!(eigenvalues.largest > 0)) {
    return with_basis(zero_solution(system, reason(basis, eigenvalues, false), basis.products),
                      built);
  }

  const auto scaled = b / scale;
  const auto projected_b = basis.vectors.t().mv(scaled).to(torch::kCPU, torch::kDouble);
  const auto y = minimise(basis.projected, projected_b, std::max(floor_, rounding));
  const auto x = basis.vectors.mv(y.to(b.options()));
  const double residual = norm_in_double(scaled - A.multiply(x));
  SolverSummary summary;
  summary.right_hand_side = norm_in_double(scaled) * scale;
  summary.residual = residual * scale;
  summary.quadratic =
      y.dot(0.5 * basis.projected.mv(y) - projected_b).item<double>() * scale * scale;
  summary.iterations = basis.vectors.size(1);
  summary.products = basis.products + 1;
  const bool converged = summary.residual <= tolerance_ * summary.right_hand_side;
  summary.termination = reason(basis, eigenvalues, converged);
  return with_basis({x * scale, summary}, built);
}

Solution KrylovSubspace::solve(const LinearOperator& matrix, const Tensor& right_hand_side) const {
  return solve({matrix, right_hand_side});
}

std::string KrylovSubspace::describe() const {
  return fmt::format("KrylovSubspace(dimension={}, floor={}, tolerance={})", dimension_, floor_,
                     tolerance_);
}

std::shared_ptr<const Solver> KrylovSubspace::clone() const {
  check_settings(*this);
  return std::make_shared<KrylovSubspace>(*this);
}

}  // namespace natgrad
