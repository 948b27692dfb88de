#pragma once
// A doubly linked list through a member of its elements: O(1) removal, no allocation, order of
// insertion. The list does not own its elements; an element leaves before it is destroyed.

#include <cstddef>

#include "base/check.h"

namespace okibi::planner {

template <typename T>
struct Link {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
};

template <typename T, Link<T> T::* kLink>
class LinkedList {
 public:
  LinkedList() = default;
  LinkedList(const LinkedList&) = delete;
  LinkedList& operator=(const LinkedList&) = delete;

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T* front() const { return front_; }
  T* back() const { return back_; }
  static T* next(const T& element) { return (element.*kLink).next; }
  static T* previous(const T& element) { return (element.*kLink).previous; }
  static bool linked(const T& element) { return (element.*kLink).linked; }

  void pushBack(T& element) { insertAfter(back_, element); }

  // Puts `element` behind `before`; nullptr: at the front.
  void insertAfter(T* before, T& element) {
    Link<T>& link = element.*kLink;
    OKIBI_CHECK(!link.linked);
    link = {before, before ? (before->*kLink).next : front_, true};
    (before ? (before->*kLink).next : front_) = &element;
    (link.next ? (link.next->*kLink).previous : back_) = &element;
    ++size_;
  }

  void erase(T& element) {
    Link<T>& link = element.*kLink;
    OKIBI_CHECK(link.linked && size_ > 0);
    (link.previous ? (link.previous->*kLink).next : front_) = link.next;
    (link.next ? (link.next->*kLink).previous : back_) = link.previous;
    link = {};
    --size_;
  }

 private:
  T* front_ = nullptr;
  T* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace okibi::planner
