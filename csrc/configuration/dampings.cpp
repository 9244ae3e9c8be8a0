#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/nielsen.h>
#include <natgrad/damping/proximal.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/damping/trust_region.h>

#include "configuration/parts.h"

namespace natgrad::detail {

namespace {

void read_levenberg_marquardt(Settings& s, LevenbergMarquardt& part) {
  s.read("initial", part.initial());
  s.read("raise", part.raise());
  s.read("lower", part.lower());
  s.read("poor", part.poor());
  s.read("good", part.good());
  s.read("interval", part.interval());
  s.read("least", part.least());
  s.read("largest", part.largest());
  s.read("hindsight", part.hindsight());
}

void read_nielsen(Settings& s, Nielsen& part) {
  s.read("initial", part.initial());
  s.read("cap", part.cap());
  s.read("tries", part.tries());
  s.read("least", part.least());
  s.read("largest", part.largest());
}

void read_proximal(Settings& s, Proximal& part) {
  s.read("momentum", part.momentum());
  s.read("memory_doubling", part.memory_doubling());
  s.read("noise_decay", part.noise_decay());
  s.read("noise_floor", part.noise_floor());
  s.read("fixed_lambda", part.fixed_lambda());
}

void read_trust_region(Settings& s, TrustRegion& part) {
  s.read("initial", part.initial());
  s.read("shrink", part.shrink());
  s.read("grow", part.grow());
  s.read("poor", part.poor());
  s.read("good", part.good());
  s.read("least", part.least());
  s.read("largest", part.largest());
}

PartPtr<Damping> tikhonov(Settings& s) {
  s.require("lambda");
  return PartPtr<Damping>(Tikhonov(s.get("lambda", 0.)).clone());
}

}  // namespace

const Makers<PartPtr<Damping>>& damping_makers() {
  static const Makers<PartPtr<Damping>> makers = {
      {"LevenbergMarquardt", maker<LevenbergMarquardt, Damping>(read_levenberg_marquardt)},
      {"Nielsen", maker<Nielsen, Damping>(read_nielsen)},
      {"Proximal", maker<Proximal, Damping>(read_proximal)},
      {"Tikhonov", tikhonov},
      {"TrustRegion", maker<TrustRegion, Damping>(read_trust_region)}};
  return makers;
}

}  // namespace natgrad::detail
