#include <natgrad/linalg/lanczos.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>
#include "linalg/norm.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace natgrad {

using torch::Tensor;

namespace {

// A vector that a projection shortens to fewer roundings of A than this is nothing but rounding.
constexpr double kRoundings = 100;
// Odds at which a run may overlook an eigenvalue.
constexpr double kOdds = 1e-10;
// Runs aim below the tolerance, so that the residuals recomputed at the end meet it too.
constexpr double kAim = 0.5;

/// Orthonormal vectors, as the rows of a matrix that grows.
class Basis {
 public:
  explicit Basis(const LinearOperator& A) : rows_(torch::empty({4, A.size()}, A.options())) {}

  int64_t count() const { return count_; }
  Tensor rows() const { return rows_.narrow(0, 0, count_); }
  void append(const Tensor& v) {
    if (count_ == rows_.size(0)) rows_ = torch::cat({rows_, torch::empty_like(rows_)});
    rows_[count_++].copy_(v);
  }
  /// v ← v - Q Qᵀv.
  void remove_from(Tensor& v) const { v = torch::addmv(v, rows().t(), rows().mv(v), 1, -1); }

 private:
  Tensor rows_;
  int64_t count_ = 0;
};

/// Twice is enough to reach rounding (Parlett 1980, section 6.9).
void orthogonalise(Tensor& v, const Basis& one, const Basis& other) {
  for (int pass = 0; pass < 2; ++pass) {
    one.remove_from(v);
    other.remove_from(v);
  }
}

/// Where the leading of `values` are.
Tensor leading_first(const Tensor& values, Leading leading) {
  return (leading == Leading::ByMagnitude ? values.abs() : values).argsort(0, /*descending=*/true);
}

double lead_of(double value, Leading leading) {
  return leading == Leading::ByMagnitude ? std::abs(value) : value;
}

/// The largest |λ| seen, by which smallness is measured.
struct Scale {
  double value = 0;
  void see(const Tensor& values) { value = std::max(value, values.abs().max().item<double>()); }
};

/// Approximate eigenpairs, the leading first.
struct Ritz {
  Tensor values, vectors;  // [n], [n, P]
  bool converged = false;
  bool settled = false;  // none of them, converged or not, will lead those known
};

/// One Lanczos iteration in the orthogonal complement of `found`.
class Run {
 public:
  Run(const LinearOperator& A, const LanczosOptions& options, const Basis& found, Scale& scale)
      : A_(A), options_(options), found_(found), scale_(scale), basis_(A) {}

  /// Goes on until the leading `wanted` pairs converge, the subspace is invariant, there were
  /// `budget` products, or it has no eigenvalue that leads `known`.
  Ritz iterate(Tensor start, int64_t wanted, int64_t budget, double known) {
    const int64_t room = A_.size() - found_.count();
    for (Tensor next = std::move(start);;) {
      basis_.append(next);
      next = extend();
      const int64_t m = basis_.count();
      const bool invariant = m == room || beta_.back() <= negligible();
      const bool last = invariant || m == budget;
      if (last || (m >= wanted && m % (1 + m / 10) == 0)) {
        solve_small(invariant, wanted);
        settled_ = has_settled(known);
        if (converged_ || settled_ || last) return ritz(wanted);
      }
      next.div_(beta_.back());
    }
  }

  int64_t products() const { return basis_.count(); }

 private:
  double negligible() const { return kRoundings * rounding_of(A_.options()) * scale_.value; }

  /// What A makes of the newest basis vector outside of the basis, of length β.
  Tensor extend() {
    const auto newest = basis_.rows()[basis_.count() - 1];
    Tensor w = A_.multiply(newest);
    alpha_.push_back(newest.dot(w).item<double>());
    orthogonalise(w, basis_, found_);
    beta_.push_back(norm_in_double(w));
    TORCH_CHECK(std::isfinite(alpha_.back()) && std::isfinite(beta_.back()),
                "natgrad: a product of ", A_.name(),
                " with a unit vector is not finite; its eigenvalues are not defined.");
    scale_.value = std::max(scale_.value, std::abs(alpha_.back()));
    return w;
  }

  /// The tridiagonal problem; the residual of its i-th pair is β |s_mi|.
  void solve_small(bool invariant, int64_t wanted) {
    const auto off =
        torch::tensor(std::vector<double>(beta_.begin(), beta_.end() - 1), torch::kDouble);
    const auto diagonal = torch::diag(torch::tensor(alpha_, torch::kDouble));
    const auto [values, vectors] =
        torch::linalg_eigh(diagonal + torch::diag(off, 1) + torch::diag(off, -1));
    scale_.see(values);
    const auto order = leading_first(values, options_.leading());
    values_ = values.index_select(0, order);
    vectors_ = vectors.index_select(1, order);
    const auto asked = vectors_[-1].narrow(0, 0, std::min(wanted, values_.size(0)));
    const double residual = beta_.back() * asked.abs().max().item<double>();
    const double least = kRoundings * rounding_of(A_.options());
    converged_ =
        invariant || (values_.size(0) >= wanted &&
                      residual <= kAim * std::max(options_.tolerance(), least) * scale_.value);
  }

  /// Whether an eigenvalue that leads `known` would have shown by now. That from a random start m
  /// steps leave the largest one a share ε of the spectrum's width away has a probability of at
  /// most 1.648 √P e^{-√ε (2m - 1)} (Kuczyński & Woźniakowski 1992).
  bool has_settled(double known) const {
    const double lead = lead_of(values_[0].item<double>(), options_.leading());
    if (!(lead < known)) return false;
    const auto size = static_cast<double>(A_.size()), m = static_cast<double>(basis_.count());
    const double share = (known - lead) / (2 * scale_.value);
    return 1.648 * std::sqrt(size) * std::exp(-std::sqrt(share) * (2 * m - 1)) < kOdds;
  }

  Ritz ritz(int64_t wanted) const {
    const int64_t n = std::min(wanted, values_.size(0));
    const auto s = vectors_.narrow(1, 0, n).to(A_.options());
    return {values_.narrow(0, 0, n), s.t().mm(basis_.rows()), converged_, settled_};
  }

  const LinearOperator& A_;
  const LanczosOptions& options_;
  const Basis& found_;
  Scale& scale_;
  Basis basis_;
  std::vector<double> alpha_, beta_;
  Tensor values_, vectors_;
  bool converged_ = false, settled_ = false;
};

/// A random unit vector orthogonal to `found`.
Tensor fresh_start(const LinearOperator& A, const Basis& found, at::Generator& generator) {
  auto v = random_normal({A.size()}, A.options(), generator);
  orthogonalise(v, found, found);
  return v.div_(norm_in_double(v));
}

/// Rayleigh and Ritz in the span of these columns, which mixes what the runs had apart.
Eigenpairs rayleigh_ritz(const LinearOperator& A, const Tensor& columns, Leading leading) {
  const auto products = A.multiply(columns);
  const auto h = columns.t().mm(products);
  const auto [theta, s] = torch::linalg_eigh(0.5 * (h + h.t()));
  const auto order = leading_first(theta, leading);
  Eigenpairs pairs;
  pairs.values = theta.index_select(0, order);
  const auto rotation = s.index_select(1, order);
  pairs.vectors = columns.mm(rotation);
  pairs.residuals = torch::linalg_vector_norm(products.mm(rotation) - pairs.vectors * pairs.values,
                                              2, 0, false, torch::kDouble);
  pairs.products = columns.size(1);
  return pairs;
}

void check(const LinearOperator& A, const LanczosOptions& options) {
  TORCH_CHECK(options.count() >= 1 && options.count() <= A.size(),
              "natgrad: the number of eigenpairs of ", A.name(), " lies in 1 to ", A.size(),
              ", but count is ", options.count(), ".");
  TORCH_CHECK(options.max_iterations() >= options.count(), "natgrad: ", options.count(),
              " eigenpairs take as many products at least, but max_iterations is ",
              options.max_iterations(), ".");
  TORCH_CHECK(options.tolerance() >= 0 && options.tolerance() < 1,
              "natgrad: the tolerance of eigenpairs lies in [0, 1), but is ", options.tolerance(),
              ".");
}

/// The runs together: what they found, unordered.
struct Search {
  Search(const LinearOperator& A, const LanczosOptions& options)
      : A(A), options(options), found(A), generator(make_generator(options.seed())) {}

  /// Runs until a run adds nothing to the leading `count`; then, or in the whole space, true.
  bool complete() {
    while (found.count() < A.size()) {
      if (products == options.max_iterations()) return false;
      const int64_t missing = options.count() - found.count();
      const double known = missing > 0 ? -std::numeric_limits<double>::infinity() : last_lead();
      Run run(A, options, found, scale);
      const auto ritz = run.iterate(fresh_start(A, found, generator), std::max<int64_t>(missing, 1),
                                    options.max_iterations() - products, known);
      products += run.products();
      if (ritz.settled || (ritz.converged && !leads(ritz, known))) return true;
      add(ritz);
      if (!ritz.converged) return false;
    }
    return true;
  }

  /// The leading `count`, as columns.
  Tensor leading() const {
    const auto all = torch::tensor(values, torch::kDouble);
    const auto order = leading_first(all, options.leading()).narrow(0, 0, options.count());
    return found.rows().index_select(0, order.to(found.rows().device())).t();
  }

  /// By what the last of the leading `count` found so far leads.
  double last_lead() const {
    std::vector<double> leads;
    for (const double value : values) leads.push_back(lead_of(value, options.leading()));
    const auto last = leads.begin() + options.count() - 1;
    std::nth_element(leads.begin(), last, leads.end(), std::greater<>());
    return *last;
  }

  /// Whether the first of these leads `known` by more than the tolerance.
  bool leads(const Ritz& ritz, double known) const {
    return lead_of(ritz.values[0].item<double>(), options.leading()) >
           known + tolerance() * scale.value;
  }

  void add(const Ritz& ritz) {
    for (int64_t i = 0; i < ritz.values.size(0); ++i) {
      values.push_back(ritz.values[i].item<double>());
      found.append(ritz.vectors[i]);
    }
  }

  double tolerance() const {
    return std::max(options.tolerance(), kRoundings * rounding_of(A.options()));
  }

  const LinearOperator& A;
  const LanczosOptions& options;
  Basis found;
  at::Generator generator;
  Scale scale;
  std::vector<double> values;
  int64_t products = 0;
};

}  // namespace

Eigenpairs leading_eigenpairs(const LinearOperator& A, const LanczosOptions& options) {
  check(A, options);
  torch::NoGradGuard no_grad;
  Search search(A, options);
  const bool complete = search.complete();
  auto pairs = rayleigh_ritz(A, search.leading(), options.leading());
  pairs.products += search.products;
  pairs.converged =
      complete && pairs.residuals.max().item<double>() <= search.tolerance() * search.scale.value;
  return pairs;
}

}  // namespace natgrad
