#pragma once
// CardGiver: what an instance needs of the host to use its slice of a card. Implemented by gpu/ for
// real cards; simulated cards have none, because there is nothing to give. Loop thread only; a call
// writes one small file at most.

#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "seams/device_edits.h"

namespace okibi::seams {

class CardGiver {
 public:
  virtual ~CardGiver() = default;

  // For the instance of that name, which holds `slice` of the card until takeBack(). Unavailable:
  // the card cannot be given, and why.
  virtual Result<DeviceEdits> give(CardId card, const std::string& instance, Bytes slice) = 0;
  // Nothing of the instance is left. Names that hold nothing are fine.
  virtual void takeBack(const std::string& instance) = 0;
};

}  // namespace okibi::seams
