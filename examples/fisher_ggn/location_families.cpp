#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/location.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/student_t.h>
#include <torch/torch.h>

#include "fisher_ggn/densities.h"
#include "fisher_ggn/family_tables.h"

namespace examples {

namespace F = torch::nn::functional;
using torch::Tensor;

namespace {

constexpr double kScale = 0.6, kDelta = 0.8, kFreedom = 4;

/// log r of noise around z with these further arguments.
template <class LogR, class... Arguments>
Family::OfTargets noise(LogR log_r, Arguments... arguments) {
  return [=](const Tensor& z, const Tensor& y) { return log_r(z, arguments..., y); };
}

Support line_around_output(const Tensor& z) { return real_line(z); }
/// In pieces: its slope bends at ±δ scales.
Support line_in_pieces(const Tensor& z) {
  constexpr double kBend = kDelta * kScale;
  const auto one = torch::ones_like(z);
  return joined(
      {half_line(z - kBend, -one), interval(z - kBend, z + kBend), half_line(z + kBend, one)});
}

Tensor absolute_error(const Tensor& z, const Tensor& y) {
  return F::l1_loss(z, y, F::L1LossFuncOptions(torch::kSum)) / z.size(0);
}
Tensor log_sech(const Tensor& x) { return -torch::logaddexp(x, -x); }
Tensor half_square(const Tensor& x) { return -0.5 * x.square(); }
Tensor unit_gaussian(const Tensor& z, const Tensor& y) {
  return densities::gaussian(z, torch::ones_like(z), y);
}
Support unit_line(const Tensor& z) { return gaussian_line(z, torch::ones_like(z)); }

}  // namespace

std::vector<Family> location_families() {
  using namespace natgrad;
  constexpr auto kNatural = Outputs::Natural, kNotNatural = Outputs::NotNatural;
  const auto line = line_around_output;
  static const NoiseDensity gaussian(half_square), sech(log_sech);
  return {
      {"Location", "location, c Gaussian", kNatural, 2, of<Location>(gaussian), unit_gaussian,
       unit_line},
      {"Location", "location, c = 1/(π cosh)", kNotNatural, 1, of<Location>(sech), densities::sech,
       line},
      {"Logistic", "location", kNotNatural, 1, of<Logistic>(kScale),
       noise(densities::logistic, kScale), line},
      {"StudentT", "location", kNotNatural, 1, of<StudentT>(kFreedom, kScale),
       noise(densities::student_t, kFreedom, kScale), line},
      {"Cauchy", "location", kNotNatural, 1, of<Cauchy>(kScale),
       noise(densities::student_t, 1.0, kScale), line},
      {"Huber", "location", kNotNatural, 1, of<Huber>(kDelta, kScale),
       noise(densities::huber, kDelta, kScale), line_in_pieces},
      {"Laplace", "location", Outputs::Kinked, 1, of<Laplace>(), noise(densities::laplace, 1.0),
       line, any_number, absolute_error},
  };
}

}  // namespace examples
