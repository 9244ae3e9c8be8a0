#pragma once

// HeldOutRate as its header has it, in plain numbers, with running means summed up from scratch.

#include <algorithm>
#include <cmath>
#include <vector>

namespace natgrad::testing {

/// What one batch says of v: n = -∇hᵀv and d = vᵀC v.
struct Along {
  double wanted = 0, curvature = 0;
};

/// One step's batch: of δ_prev, of θ̄ - θ, and -∇hᵀδ.
struct HeldOut {
  Along previous, average;
  double descent = 0;
  bool has_average = true;
};

class PlainHeldOutRate {
 public:
  struct Choice {
    double alpha, kept;  ///< α, and the share of δ that the next step goes on from
  };

  Choice choose(const HeldOut& batch, double mu, double largest = 0.5) {
    const auto t = static_cast<double>(batches_.size() + 1);
    batches_.push_back({batch, batch.descent - mu * batch.previous.wanted});
    const double worse = worsening(recent_weight);
    if (t > 50) adapt(t);
    const double p = 2 * t / (t + 30) * std::min(15., std::exp(log_growth_) * (1 + boost()));
    const double too_long = worse > 1.1 ? 1.1 / worse : 1;
    if (t > 50) log_growth_ = std::max(0., log_growth_ - 0.1 * (1 - too_long));  // from the next on
    shortened += too_long < 1;
    forgotten += worse > 2;
    return {std::min(largest, p * std::pow(too_long, 3) * (1 - mu)),
            worse > 2 ? std::sqrt(2 / worse) : 1};
  }

  double growth() const { return std::exp(log_growth_); }
  /// How many steps P was pulled down, and up, by θ̄ - θ, made shorter, and boosted.
  int64_t shrunk = 0, grown = 0, shortened = 0, boosted = 0, forgotten = 0;

 private:
  struct Seen {
    HeldOut batch;
    double promise;
  };
  using Weight = double (*)(double t);
  static double recent_weight(double t) { return std::max(0.1, 1 / t); }
  static double lasting_weight(double t) { return 1 / (1 + t / 20); }

  /// Σₖ wₖ Πⱼ₍ⱼ﹥ₖ₎ (1 - wⱼ) vₖ.
  template <class Value>
  double mean(Weight weight, Value value) const {
    double sum = 0, remaining = 1;
    for (auto k = batches_.size(); k-- > 0;) {
      const double w = weight(static_cast<double>(k + 1));
      const auto* v = value(batches_[k]);
      if (!v) continue;
      sum += remaining * w * *v;
      remaining *= 1 - w;
    }
    return sum;
  }
  double worsening(Weight weight) const {
    const double n = mean(weight, [](auto& s) { return &s.batch.previous.wanted; });
    const double d = mean(weight, [](auto& s) { return &s.batch.previous.curvature; });
    return (d - 2 * n) / std::max(promise(weight), 0.01 * (std::abs(n) + d));
  }
  double promise(Weight weight) const {
    return mean(weight, [](auto& s) { return &s.promise; });
  }
  double of_average(double Along::*number) const {
    // Of every fourth step, with the weight of four.
    const auto weight = [](double t) { return 1 - std::pow(1 - lasting_weight(t), 4); };
    int64_t k = static_cast<int64_t>(batches_.size());
    return mean(+weight, [number, &k](auto& s) -> const double* {
      return k-- % 4 == 0 && s.batch.has_average ? &(s.batch.average.*number) : nullptr;
    });
  }

  double boost() {
    const double n = mean(recent_weight, [](auto& s) { return &s.batch.previous.wanted; });
    const double d = mean(recent_weight, [](auto& s) { return &s.batch.previous.curvature; });
    const double a = std::clamp((n / std::max(d, 1e-30) - 0.75) / 0.25, 0., 1.);
    boosted += a > 0;
    return 8 * a * a * (3 - 2 * a);
  }

  void adapt(double t) {
    const double n = of_average(&Along::wanted), d = of_average(&Along::curvature);
    const double D = 0.45 * std::clamp((1.05 - worsening(lasting_weight)) / 0.15, 0., 1.);
    double x = (n - D * d) / std::max(std::abs(n) + d, 1e-30);
    (x < 0 ? grown : shrunk) += 1;
    if (x < 0) x *= d / (d + 0.1 * std::max(promise(lasting_weight), 1e-30));
    log_growth_ = std::clamp(log_growth_ - 6 * x / (t + 60), 0., std::log(15));
  }

  std::vector<Seen> batches_;
  double log_growth_ = 0;
};

}  // namespace natgrad::testing
