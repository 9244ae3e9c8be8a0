#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// Where `kl_expansion` looks.
struct NATGRAD_EXPORT KLExpansionOptions {
  /// The largest ε. The direction is scaled to dᵀFd = 1 first, so that ε moves the distribution by
  /// about ½ε² nats.
  TORCH_ARG(double, largest) = 0.1;
  /// How many further ε there are, each half of the one before, ≥ 2.
  TORCH_ARG(int64_t, halvings) = 6;

 public:
  /// Throws `c10::ValueError` for the first value that is out of range.
  void check() const;
};

/// One of the two divergences along ε, against ½ε²dᵀFd.
struct NATGRAD_EXPORT KLDirection {
  std::vector<double> divergence;  ///< at each ε; infinite where outputs leave their domain
  /// KL - ½ε²dᵀFd, the root mean square of those at ε and -ε.
  std::vector<double> remainder;
  /// The order of `remainder` between the two smallest ε at which rounding leaves it: 3, or more
  /// where the term of third order vanishes; 2 where F is not the metric. NaN where it is exact.
  double slope = 0;
  double second = 0;  ///< the coefficient of ½ε²dᵀFd as measured: 1
  /// That of ε³: k₃/3 and k₃/6 along one natural parameter, of third cumulant k₃.
  double third = 0;
  /// Whether the remainder is no more than rounding at every ε: KL = ½ε²dᵀFd, as with Gaussian
  /// means of fixed variance that are linear in the parameters.
  bool is_exact = false;
  bool holds = false;  ///< exact; or a slope of 2.95 or more, and a `second` of 1 within 1e-3
};

/// What `kl_expansion` found.
struct NATGRAD_EXPORT KLExpansionReport {
  std::string metric;            ///< as F describes itself
  std::vector<double> epsilons;  ///< the largest first
  double length = 0;             ///< what the given direction was multiplied with
  double square = 0;             ///< dᵀFd after that: 1; or 0 where F d vanishes
  std::vector<double> rounding;  ///< of a divergence at each ε, estimated
  KLDirection forward;           ///< KL(p(θ + εd) ‖ p(θ))
  KLDirection reverse;           ///< KL(p(θ) ‖ p(θ + εd))
  /// Of the difference of the two, 1/6 E[(dᵀ∇log p)³]: they are symmetric to second order.
  double asymmetry = 0;
  bool holds = false;  ///< both directions do

  /// The verdict and the table, in lines of text.
  std::string message() const;
};

/// Whether the divergence between p(θ + εd) and p(θ) is ½ε²dᵀFd + O(ε³), both ways (Martens, "New
/// perspectives", section 6), on a model, data and loss of the user's own. `loss` gives the loss at
/// the parameters as they are, of one batch; `direction`: [P], ∇h if it is undefined; `metric`: F,
/// of which a `Fisher` says the weights of the divergence too (others: those of the loss).
///
/// Where F d = 0 the divergence is of fourth order or vanishes: the direction is then scaled to the
/// length of θ. In double ε from 1e-3 on are known well, in float32 from 1e-2.
///
/// Costs two forward passes for each ε, and a product with F. The parameters are moved by exchange
/// of their memory and back at θ afterwards, whatever is thrown; the closure's random numbers are
/// replayed. Throws `c10::Error` for a loss without a distribution, as `fisher` does, and for
/// outputs that are a parameter itself: give the distribution 1 * parameter.
NATGRAD_EXPORT KLExpansionReport kl_expansion(const std::vector<torch::Tensor>& parameters,
                                              const std::function<torch::Tensor()>& loss,
                                              torch::Tensor direction = {},
                                              const Curvature& metric = Fisher(),
                                              const KLExpansionOptions& options = {});

}  // namespace natgrad
