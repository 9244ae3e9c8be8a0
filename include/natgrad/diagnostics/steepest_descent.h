#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace natgrad {

/// Which steps `steepest_descent` takes.
struct NATGRAD_EXPORT SteepestDescentOptions {
  /// The largest ε, the root of a number of nats.
  TORCH_ARG(double, largest) = 0.04;
  /// How many further ε there are at least, each half of the one before, 1 to 19. There are more,
  /// 20 in all, until the argmin is found for so many, and near the limit: an ill-conditioned F
  /// takes small ε.
  TORCH_ARG(int64_t, halvings) = 4;
  /// Whether the divergence is KL(p(θ) ‖ p(θ + d)) instead of KL(p(θ + d) ‖ p(θ)).
  TORCH_ARG(bool, reverse) = false;
  /// λ of the term ½λ‖d‖² that is added to the divergence, and λI to F. Nothing: 0, unless F is
  /// singular (condition above 1e7), where the argmin and the limit do not exist: then a thousandth
  /// of F's largest eigenvalue.
  TORCH_ARG(std::optional<double>, lambda) = std::nullopt;
  /// P at most: F is formed, [P, P] in double.
  TORCH_ARG(int64_t, limit) = 2000;

 public:
  /// Throws `c10::ValueError` for the first value that is out of range.
  void check() const;
};

/// What `steepest_descent` found.
struct NATGRAD_EXPORT SteepestDescentReport {
  /// The minimiser of h where the divergence is ε² at most.
  struct Step {
    double epsilon = 0;       ///< ε
    torch::Tensor minimiser;  ///< d*(ε), [P], double
    double divergence = 0;    ///< at d*, with λ's term, over ε²: 1 on the boundary
    /// ‖∇h + μ∇KL‖ in the norm of F⁻¹ at d*, over ‖∇h‖, for the best μ: 0 at a minimum.
    double stationarity = 0;
    /// ‖d*(ε)/ε - limit‖/‖limit‖ in the norm of F.
    double error = 0;
    int64_t iterations = 0;  ///< of the search for it
    bool converged = false;  ///< whether it was found
  };
  std::string metric;       ///< as the F of the limit describes itself
  std::vector<Step> steps;  ///< the largest ε first
  torch::Tensor limit;      ///< -√2 F⁻¹∇h/‖∇h‖_{F⁻¹}, [P], double
  double lambda = 0;        ///< λ
  double condition = 0;     ///< of F + λI
  double order = 0;         ///< of error ∝ ε^order, between the two smallest ε
  bool holds = false;       ///< the smallest ε converged, with an order of 0.9 or more

  /// The verdict and the table, in lines of text.
  std::string message() const;
};

/// Whether steepest descent among distributions is the natural gradient's direction (Martens, "New
/// perspectives", section 6; Amari 1998),
///
///     lim_{ε→0} 1/ε argmin { h(θ + d) : KL(p(θ + d) ‖ p(θ)) ≤ ε² } = -√2 F⁻¹∇h/‖∇h‖_{F⁻¹},
///
/// on a model, data and loss of the user's own. The argmin is found for each ε by sequential
/// quadratic programming from the divergence and h themselves, with gradients of both at θ + d; the
/// limit from `metric` alone. The two sides meet at O(ε) if `metric` is F.
///
/// `loss` gives the loss at the parameters as they are, of one batch; the weights of the divergence
/// are those that `metric`, a `Fisher`, says, else those of the loss. P products with F, P³/3
/// operations, and some five passes forward and back for each ε. Parameters, `.grad`s and
/// generators are left as they were, whatever is thrown; work in double. Throws `c10::Error` for a
/// loss without a distribution, at ∇h = 0, for more parameters than the limit, and for a mean and a
/// spread that are terms of their own.
NATGRAD_EXPORT SteepestDescentReport steepest_descent(const std::vector<torch::Tensor>& parameters,
                                                      const std::function<torch::Tensor()>& loss,
                                                      const Curvature& metric = Fisher(),
                                                      const SteepestDescentOptions& options = {});

}  // namespace natgrad
