#include <fmt/format.h>
#include <natgrad/damping/trust_region.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

void TrustRegion::set_radius(double radius) { radius_ = std::clamp(radius, least_, largest_); }

void TrustRegion::observe_ratio(double rho, bool at_the_edge) {
  if (!std::isfinite(rho) || rho < poor_) {
    set_radius(shrink_ * radius());
  } else if (rho > good_ && at_the_edge) {
    set_radius(grow_ * radius());
  }
}

void TrustRegion::rejected() { set_radius(shrink_ * radius()); }

void TrustRegion::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.size() == 1 && state[0] > 0 && std::isfinite(state[0]),
              "natgrad: TrustRegion's state is its radius Δ > 0, but got ",
              c10::ArrayRef<double>(state), ".");
  set_radius(state[0]);
}

std::string TrustRegion::describe() const {
  return fmt::format(
      "TrustRegion(initial={}, shrink={}, grow={}, poor={}, good={}, least={}, largest={})",
      initial_, shrink_, grow_, poor_, good_, least_, largest_);
}

void TrustRegion::check_options() const {
  TORCH_CHECK(
      least_ > 0 && least_ <= largest_ && std::isfinite(largest_),
      "natgrad: TrustRegion's least and largest radius are finite numbers with 0 < least <= "
      "largest, but are ",
      least_, " and ", largest_, ".");
  TORCH_CHECK(initial_ >= least_ && initial_ <= largest_,
              "natgrad: TrustRegion's initial radius lies between its least, ", least_,
              ", and its largest, ", largest_, ", but is ", initial_, ".");
  TORCH_CHECK(shrink_ > 0 && shrink_ < 1,
              "natgrad: TrustRegion's shrink is a factor in (0, 1), but is ", shrink_, ".");
  TORCH_CHECK(grow_ >= 1 && std::isfinite(grow_),
              "natgrad: TrustRegion's grow is a finite factor >= 1, but is ", grow_, ".");
  TORCH_CHECK(poor_ < good_ && std::isfinite(poor_) && std::isfinite(good_),
              "natgrad: TrustRegion's poor and good are finite ratios with poor < good, but are ",
              poor_, " and ", good_, ".");
}

std::unique_ptr<Damping> TrustRegion::clone() const {
  check_options();
  return std::make_unique<TrustRegion>(*this);
}

}  // namespace natgrad
