#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <optional>
#include <string>

namespace natgrad {

/// The distribution r(y|z) that the network's outputs z parameterise: the one registry of output
/// distributions. The Fisher matrix, the sampled gradient, `nll` and every later preconditioner ask
/// these questions and no others (Martens, "New perspectives", sections 4, 5 and 8).
///
/// z has the examples in its first dimension. A family says which of the others belong to one
/// observation (the classes of a Categorical) and which hold independent observations (the outputs
/// of a Bernoulli). "Per observation" below is z's shape without the former.
class NATGRAD_EXPORT Likelihood {
 public:
  virtual ~Likelihood() = default;

  /// Name and fixed parameters, for messages.
  virtual std::string describe() const = 0;
  /// Whether `other` is this family with the same fixed parameters, so that their terms on the same
  /// outputs are one: by default, of equal text.
  virtual bool same_family(const Likelihood& other) const { return describe() == other.describe(); }

  /// z.
  const torch::Tensor& outputs() const { return outputs_; }

  /// log r(y|z), per observation, differentiable in z twice. Throws as `check_targets` does.
  torch::Tensor log_prob(const torch::Tensor& y) const;
  /// ∇_z log r(y|z), shaped like z. Throws as `check_targets` does.
  torch::Tensor score(const torch::Tensor& y) const;
  /// F_R v, shaped like z, with F_R = E_y[score scoreᵀ] = B Bᵀ for each observation.
  virtual torch::Tensor fisher_multiply(const torch::Tensor& v) const = 0;
  /// B r, shaped like z: with r white noise, it has the covariance F_R.
  virtual torch::Tensor factor_multiply(const torch::Tensor& r) const = 0;
  /// F_R⁻ v, shaped like z, for v in the range of F_R, as scores and products with F_R are: a w
  /// with F_R w = v, so that v·w = vᵀF_R⁻v for any of them where F_R is singular. By default it
  /// throws: a family of your own has to say how.
  virtual torch::Tensor fisher_solve(const torch::Tensor& v) const;
  /// How many of the outputs parameterise one observation.
  virtual int64_t outputs_per_observation() const { return 1; }
  /// How many independent observations z parameterises.
  int64_t observations() const;
  /// The rank-one part of F_R along the natural gradient d = F_R⁻s in output space, for a score s
  /// of each observation: Q = q qᵀ with s = c q,
  ///
  ///     q = s/√(sᵀF_R⁻s),  c = √(sᵀF_R⁻s),  0 ≼ Q ≼ F_R,  Q d = F_R d,
  ///
  /// the optimal change of z (Martens, "New perspectives", section 11). Where one output makes an
  /// observation, Q = F_R whatever s is, and c = s/√F_R has its sign; elsewhere s = 0 gives q = 0.
  /// c is bounded (by 1e15 in float32, and for several outputs 1e-19 from below), so that c q = s
  /// holds where F_R has underflowed: there Q is larger than F_R, and smaller where s nearly
  /// vanishes. `score`: shaped like z. With several outputs an observation each example
  /// has to be one observation, or it throws `c10::Error`.
  struct ScoreFactor {
    torch::Tensor q;  ///< shaped like z
    torch::Tensor c;  ///< one number an observation, in a shape that broadcasts against z
  };
  /// Q's factor for this score.
  virtual ScoreFactor score_factor(const torch::Tensor& score) const;
  /// KL(r(·|z) ‖ r(·|z')), per observation, in nats, for z' the outputs of `other`:
  ///
  ///     E[log r(y|z) - log r(y|z')] under r(·|z)  ≥ 0,  = ½ dᵀF_R d + O(d³) for z' = z + d.
  ///
  /// Known to relative rounding of d, however small that is: no terms of order one cancel. In
  /// closed form and differentiable as often as one likes in both, but for `Huber`, `StudentT`,
  /// `Location` and `ExpLoss`: by quadrature, eight digits at least, differentiable once. Infinite
  /// where z' gives no chance to what z does. Throws `c10::Error` if `other` is of another family,
  /// other fixed parameters or another shape (Kullback & Leibler 1951; Martens, "New perspectives",
  /// section 6).
  torch::Tensor kl(const Likelihood& other) const;
  /// What becomes of -log r(y|z) when z moves by d, exactly, given the score at z: which tells of y
  /// all that is needed.
  struct OutputChange {
    torch::Tensor loss;   ///< log r(y|z) - log r(y|z+d), per observation, aligned to z
    torch::Tensor reach;  ///< d in units in which F_R is no longer what it was, alike; ≥ 0
  };
  /// Nothing for a family whose F_R does not depend on z, and for those that do not say.
  virtual std::optional<OutputChange> output_change(const torch::Tensor& score,
                                                    const torch::Tensor& d) const;
  /// Cov_q[score] v, shaped like z, under the q(y) whose mean score E_q[score] is given, where that
  /// tells q: of soft targets for classes and coins. Nothing for a family whose targets are points.
  virtual std::optional<torch::Tensor> target_covariance_multiply(const torch::Tensor& mean_score,
                                                                  const torch::Tensor& v) const;
  /// y ~ r(·|z), shaped as `log_prob` takes it, drawn from `generator`.
  virtual torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const = 0;
  /// Whether -∇²_z log r(y|z) = F_R for every y; then Fisher and Gauss-Newton matrix are one
  /// (section 8).
  virtual bool hessian_is_fisher() const = 0;

  /// Throws `c10::Error` naming the first y that is outside the support, or a shape, dtype or
  /// device that does not fit z.
  virtual void check_targets(const torch::Tensor& y) const = 0;
  /// The dimension of z that counts the examples: the first that is not a family's own. If z has
  /// not as many dimensions, it is one example.
  virtual int64_t example_dim() const { return 0; }
  /// The number of examples.
  int64_t examples() const {
    return outputs_.dim() > example_dim() ? outputs_.size(example_dim()) : 1;
  }
  /// A number per observation in a shape that broadcasts against z.
  virtual torch::Tensor align(const torch::Tensor& per_observation) const {
    return per_observation;
  }

 protected:
  /// Throws unless `outputs`, z, is a floating tensor.
  explicit Likelihood(torch::Tensor outputs);

  /// `log_prob` of targets that have been checked.
  virtual torch::Tensor compute_log_prob(const torch::Tensor& y) const = 0;
  /// `score` of the same.
  virtual torch::Tensor compute_score(const torch::Tensor& y) const = 0;
  /// `other` is of this family, with outputs of the same shape. By default it throws.
  virtual torch::Tensor compute_kl(const Likelihood& other) const;

  /// Throws unless y is floating, on z's device and shaped like z: broadcasting [N] against [N, 1]
  /// is a mistake.
  void check_same_shape(const torch::Tensor& y) const;
  /// The same for targets of another shape than z's.
  void check_shape(const torch::Tensor& y, at::IntArrayRef expected) const;
  /// That, and unless every y is finite.
  void check_real(const torch::Tensor& y, at::IntArrayRef expected, const char* family) const;
  /// Throws unless y is on z's device.
  void check_same_device(const torch::Tensor& y) const;

 private:
  torch::Tensor outputs_;
};

/// What a family throws where outputs of the network leave its domain. At a trial point that counts
/// as an infinite loss.
class NATGRAD_EXPORT OutsideDomain final : public c10::ValueError {
 public:
  using ValueError::ValueError;
};

/// As `check_support` for the outputs, but throws `OutsideDomain`. Let NaN pass: of a network that
/// has diverged, the loss tells.
NATGRAD_EXPORT void check_domain(const torch::Tensor& z, const torch::Tensor& valid,
                                 const std::string& what, const std::string& name = "z");

/// Throws `c10::Error` "`what`, but y[i, j] = value" for the first element where `valid` is false,
/// with `name` for y.
NATGRAD_EXPORT void check_support(const torch::Tensor& y, const torch::Tensor& valid,
                                  const std::string& what, const std::string& name = "y");

}  // namespace natgrad
